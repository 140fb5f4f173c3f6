"""Segments of filaments: read as particles, known by whatever program numbers their filaments."""

from pathlib import Path

import numpy as np
import pytest
from test_reported_situations import with_fields

from cryorbit.io.filaments import filament_numbers, segment_label
from cryorbit.io.particles import read_particles
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from cryorbit.recipes.image_warnings import on_filaments
from small_sets import COUNT


def test_filaments_of_relion(star_set: Path) -> None:
    """Numbers count on each micrograph, of which the set has four."""
    table = read_star(star_set)
    tube = np.arange(COUNT) // 5 % 2 + 1
    tube[7] = 0
    write_star(star_set, table | {"particles": table["particles"].assign(rlnHelicalTubeID=tube)})
    particles = read_particles(star_set)
    numbers = filament_numbers(particles)
    assert numbers is not None
    assert [len(set(numbers[first : first + 5].tolist())) for first in range(0, COUNT, 5)] == [1, 2, *[1] * 6]
    assert len(numbers.unique()) == 9
    (said,) = on_filaments(particles.table)
    assert "helical symmetry is not imposed" in said


def test_filaments_of_cryosparc(cs_set: Path) -> None:
    uid = np.uint64(2**63) + (np.arange(COUNT) // 10).astype(np.uint64)
    with_fields(cs_set, filament__filament_uid=uid)
    particles = read_particles(cs_set)
    numbers = filament_numbers(particles)
    assert numbers is not None
    assert numbers.tolist() == (np.arange(COUNT) // 10).tolist()


@pytest.mark.parametrize("value", [0, "None", "nan"])
def test_a_column_that_says_nothing(star_set: Path, value: object) -> None:
    table = read_star(star_set)
    write_star(star_set, table | {"particles": table["particles"].assign(rlnHelicalTubeID=value)})
    particles = read_particles(star_set)
    assert segment_label(particles.table) is None
    assert filament_numbers(particles) is None
    assert on_filaments(particles.table) == []
