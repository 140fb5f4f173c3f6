"""Half-sets: even in particles, whole in micrographs and images, and what is said of those that are given."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.io.particles import Particles, read_particles
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from cryorbit.recipes.half_sets import half_sets
from small_sets import blob_images, write_star_set

COUNT = 120


@pytest.fixture
def star(tmp_path: Path) -> Path:
    return write_star_set(tmp_path, blob_images(COUNT, np.random.default_rng(3)))


def changed(star: Path, **columns: object) -> Particles:
    """The set without half-sets, columns set anew."""
    tables = read_star(star)
    tables["particles"] = tables["particles"].drop(columns="rlnRandomSubset").assign(**columns)
    write_star(star, tables)
    return read_particles(star)


def micrographs(sizes: list[int]) -> list[str]:
    return [f"mic{number}.mrc" for number, size in enumerate(sizes) for _ in range(size)]


def sizes_of(half_set: torch.Tensor) -> list[int]:
    return sorted(torch.bincount(half_set, minlength=2).tolist())


@pytest.mark.parametrize("seed", range(5))
def test_micrographs_of_any_size_are_whole_and_halves_even(star: Path, seed: int) -> None:
    names = micrographs([30, 25, 20, 15, 8, 6, 5, 4, 3, 2, 1, 1])
    halves = half_sets(changed(star, rlnMicrographName=names), seed)
    assert pd.Series(halves.half_set.numpy()).groupby(names).nunique().max() == 1
    assert sizes_of(halves.half_set) == [60, 60]
    assert halves.remarks == ()


def test_micrographs_of_one_size_are_drawn_by_chance(star: Path) -> None:
    particles = changed(star, rlnMicrographName=micrographs([10] * 12))
    drawn = {tuple(half_sets(particles, seed).half_set[::10].tolist()) for seed in range(5)}
    assert len(drawn) == 5
    assert all(sum(each) == 6 for each in drawn)


def test_one_micrograph_of_nearly_all_is_split_and_said(star: Path) -> None:
    halves = half_sets(changed(star, rlnMicrographName=micrographs([109, *[1] * 11])), 0)
    assert sizes_of(halves.half_set) == [60, 60]
    assert "holds 109 of 120 particles: half-sets were drawn by particle" in halves.remarks[0]


def test_one_micrograph_by_two_paths_is_in_one_half(star: Path) -> None:
    folders = np.resize(["", "MotionCorr/job002/"], COUNT)
    names = [folder + name for folder, name in zip(folders, micrographs([10] * 12), strict=True)]
    halves = half_sets(changed(star, rlnMicrographName=names), 0)
    assert pd.Series(halves.half_set.numpy()).groupby(micrographs([10] * 12)).nunique().max() == 1


def expanded(star: Path, **columns: object) -> Particles:
    """Every other row shows the image of the row before in another pose."""
    table = read_star(star)["particles"]
    names = table["rlnImageName"].iloc[np.arange(COUNT) // 2 * 2].to_numpy()
    return changed(star, rlnImageName=names, rlnAngleRot=90.0 * (np.arange(COUNT) % 2), **columns)


@pytest.mark.parametrize("columns", [{}, {"rlnRandomSubset": np.arange(COUNT) % 2 + 1}])
def test_copies_of_an_image_are_in_one_half(star: Path, columns: dict[str, object]) -> None:
    columns = {"rlnMicrographName": "one.mrc", **columns}
    if "rlnRandomSubset" in columns:
        columns["rlnRandomSubset"] = np.resize([1, 2, 2, 1], COUNT)
    halves = half_sets(expanded(star, **columns), 0)
    assert torch.equal(halves.half_set[::2], halves.half_set[1::2])
    assert sizes_of(halves.half_set) == [60, 60]
    assert "120 particles show 60 images" in halves.remarks[0]
    moved = [remark for remark in halves.remarks if remark.startswith("60 particles were moved")]
    assert len(moved) == ("rlnRandomSubset" in columns)


@pytest.mark.parametrize(("smaller", "doubtful"), [(1, True), (29, True), (30, False), (60, False)])
def test_given_halves_that_are_uneven_are_doubted(star: Path, smaller: int, doubtful: bool) -> None:
    halves = half_sets(changed(star, rlnRandomSubset=[2] * smaller + [1] * (COUNT - smaller)), 0)
    assert sizes_of(halves.half_set) == [smaller, COUNT - smaller]
    assert (halves.doubt is not None) == doubtful
    if halves.doubt is not None:
        assert f"({COUNT - smaller} and {smaller} particles)" in halves.doubt
        assert "fix: remove the column rlnRandomSubset" in halves.doubt


def test_one_half_only_is_refused(star: Path) -> None:
    with pytest.raises(InputError, match="all particles are in half-set 2"):
        half_sets(changed(star, rlnRandomSubset=2), 0)


def segments(star: Path, micrographs_named: int, tubes: int, **columns: object) -> Particles:
    """Segments of filaments, so many on each of some micrographs, in turns."""
    row = np.arange(COUNT)
    names = [f"mic{number % micrographs_named}.mrc" for number in row]
    tube = row // micrographs_named % tubes + 1
    return changed(star, rlnMicrographName=names, rlnHelicalTubeID=tube, **columns)


def filaments_of(particles: Particles) -> list[object]:
    return [particles.table["rlnMicrographName"], particles.table["rlnHelicalTubeID"]]


@pytest.mark.parametrize(("micrographs_named", "tubes"), [(1, 2), (2, 3), (3, 10)])
def test_filaments_on_few_micrographs_are_whole(star: Path, micrographs_named: int, tubes: int) -> None:
    particles = segments(star, micrographs_named, tubes)
    halves = half_sets(particles, 0)
    assert pd.Series(halves.half_set.numpy()).groupby(filaments_of(particles)).nunique().max() == 1
    assert sizes_of(halves.half_set) == [60, 60]
    assert halves.doubt is None


def test_what_is_of_no_filament_stands_alone(star: Path) -> None:
    plain = changed(star, rlnMicrographName="one.mrc", rlnHelicalTubeID=0)
    assert half_sets(plain, 0).remarks == ()


@pytest.mark.parametrize("given", [True, False])
def test_split_filaments_are_a_doubt(star: Path, given: bool) -> None:
    """Given half-sets in turns, and one filament that must be split."""
    subset = {"rlnRandomSubset": np.arange(COUNT) // 2 % 2 + 1} if given else {}
    particles = segments(star, 1, 2 if given else 1, **subset)
    halves = half_sets(particles, 0)
    assert halves.doubt is not None
    which = "2 filaments are" if given else "one filament are"
    assert halves.doubt.startswith(f"segments of {which} in both half-sets")
    assert any("in both half-sets" in remark for remark in halves.remarks)
