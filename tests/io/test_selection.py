"""Parts of a particle set, by query and by chance."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.io.particles import Particles, read_particles
from cryorbit.io.selection import random_rows, rows_where
from small_sets import COUNT, blob_images, write_star_set


@pytest.fixture
def particles(tmp_path: Path) -> Particles:
    return read_particles(write_star_set(tmp_path, blob_images(COUNT, np.random.default_rng(3))))


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("rlnDefocusU < 10030", [0, 1, 2]),
        ("rlnDefocusU >= 10030 and rlnDefocusU < 10050", [3, 4]),
        ("rlnVoltage == 200 and rlnRandomSubset == 1 and rlnDefocusU > 10350", [36, 38]),
        ("rlnMicrographName == 'mic000.mrc' and rlnRandomSubset == 2", [1, 3, 5, 7, 9]),
        ("rlnMicrographName.str.contains('3.mrc')", list(range(30, 40))),
    ],
)
def test_a_query_finds_its_rows(particles: Particles, query: str, rows: list[int]) -> None:
    assert rows_where(particles, query).tolist() == rows


def test_a_query_of_a_part_counts_within_the_part(particles: Particles) -> None:
    part = particles.subset(torch.arange(20, 40))
    assert rows_where(part, "rlnDefocusU < 10220").tolist() == [0, 1]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("rlnDefocusX < 3", "did you mean rlnDefocus"),
        ("rlnDefocusU < ", "cannot be read"),
        ("rlnDefocusU + 1", "neither true nor false"),
        ("3 < 4", "neither true nor false"),
        ("rlnDefocusU < 1", "matches no particle"),
        ("rlnMicrographName < 3", "cannot be read"),
        ("@particles", "cannot be read|no such column"),
    ],
)
def test_what_is_no_query_is_told(particles: Particles, query: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        rows_where(particles, query)


def test_random_rows_are_drawn_once_each_in_order(particles: Particles, generator: torch.Generator) -> None:
    rows = random_rows(particles, 12, generator)
    assert len(rows.unique()) == 12
    assert torch.equal(rows, rows.sort().values)
    assert not torch.equal(rows, random_rows(particles, 12, generator))
    assert torch.equal(random_rows(particles, 999, generator), torch.arange(COUNT))
