"""Particles that are in a set twice: by the identity of their file, by their pose, by their place on the micrograph."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.io.checks import SAME_IMAGE, SAME_PIXELS, SAME_PLACE, SHARED_IMAGE, check_particles
from cryorbit.io.particles import read_particles
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from cryorbit.recipes.half_sets import half_sets
from cryorbit.recipes.inspect import InspectConfig
from cryorbit.recipes.inspect import run as inspect
from small_sets import COUNT, PIXEL_SIZE, write_stack, write_star_set

ANGLES = ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]


def written(star: Path, particles: pd.DataFrame) -> Path:
    """The set with another table of particles, in a file beside it."""
    target = star.with_name("changed.star")
    write_star(target, read_star(star) | {"particles": particles.reset_index(drop=True)})
    return target


def set_aside(star: Path) -> dict[int, str]:
    """Rows that are set aside, with the reasons."""
    report = check_particles(read_particles(star))
    return dict(zip(report.set_aside["row"].tolist(), report.set_aside["reason"].tolist(), strict=True))


def joined(star: Path, folder: str) -> Path:
    """The set and the set again, its stacks in another folder; half-sets and micrographs left out."""
    table = read_star(star)["particles"].drop(columns=["rlnMicrographName", "rlnRandomSubset"])
    again = table.assign(rlnImageName=table["rlnImageName"].str.replace("Extract/", f"{folder}/"))
    return written(star, pd.concat([table, again]))


@pytest.mark.parametrize("link", [True, False])
def test_one_stack_by_two_paths(star_set: Path, link: bool) -> None:
    extract = star_set.parent / "Extract"
    if link:
        (star_set.parent / "Links").symlink_to("Extract")
    else:
        (star_set.parent / "Links").mkdir()
        for stack in extract.iterdir():
            os.link(stack, star_set.parent / "Links" / stack.name)
    assert set_aside(joined(star_set, "Links")) == dict.fromkeys(range(COUNT + 1, 2 * COUNT + 1), SAME_IMAGE)


def test_a_copy_of_a_stack_holds_the_same_images(star_set: Path) -> None:
    shutil.copytree(star_set.parent / "Extract", star_set.parent / "Copies")
    assert set_aside(joined(star_set, "Copies")) == dict.fromkeys(range(COUNT + 1, 2 * COUNT + 1), SAME_PIXELS)
    assert inspect(InspectConfig(particles=star_set.with_name("changed.star"))).unusable == {
        SAME_PIXELS: list(range(COUNT + 1, 2 * COUNT + 1))
    }


@pytest.mark.parametrize(
    "stored",
    [
        lambda images: images.astype(np.float16),
        lambda images: (3 * images + 7).astype(np.float32),
        lambda images: -images,
        lambda images: np.round(1000 - 200 * images).astype(np.int16),
        lambda images: np.round(25 * images).clip(-128, 127).astype(np.int8),
    ],
    ids=["float16", "scaled", "turned", "int16", "int8"],
)
def test_a_copy_on_another_grey_scale_is_one(star_set: Path, stored: Callable[[np.ndarray], np.ndarray]) -> None:
    (star_set.parent / "Copies").mkdir()
    for stack in (star_set.parent / "Extract").iterdir():
        write_stack(star_set.parent / "Copies" / stack.name, stored(mrcfile.read(stack)))
    report = inspect(InspectConfig(particles=joined(star_set, "Copies")))
    assert report.unusable == {SAME_PIXELS: list(range(COUNT + 1, 2 * COUNT + 1))}
    # what is passed over has no say
    assert report.images is not None and not report.images.dark and report.images.normalised


def test_what_a_camera_adds_to_all_images_makes_none_a_copy(tmp_path: Path, images: np.ndarray) -> None:
    images[:, :, 5] += 300
    assert set_aside(write_star_set(tmp_path, images)) == {}


@pytest.mark.parametrize(("added", "copy"), [(0.01, True), (0.03, True), (0.3, False)])
def test_rounding_leaves_a_copy_and_other_noise_does_not(
    star_set: Path, rng: np.random.Generator, added: float, copy: bool
) -> None:
    shutil.copytree(star_set.parent / "Extract", star_set.parent / "Copies")
    star = joined(star_set, "Copies")
    number, path = read_star(star)["particles"]["rlnImageName"][COUNT].split("@")
    with mrcfile.mmap(star.parent / path, "r+") as stack:
        image = stack.data[int(number) - 1]
        image += added * rng.standard_normal(image.shape, dtype=np.float32)
    assert (COUNT + 1 in set_aside(star)) == copy


@pytest.mark.parametrize(("turn", "kept"), [(90.0, True), (1.0, False), (0.0, False)])
def test_the_same_image_in_another_pose_is_an_expansion(star_set: Path, turn: float, kept: bool) -> None:
    table = read_star(star_set)["particles"]
    turned = table.assign(rlnAngleRot=table["rlnAngleRot"] + turn)
    found = set_aside(written(star_set, pd.concat([table, turned])))
    assert found == ({} if kept else dict.fromkeys(range(COUNT + 1, 2 * COUNT + 1), SAME_IMAGE))


def picked_twice(star: Path, micrographs: str | None = None, distance_px: float = 0.0) -> pd.DataFrame:
    """20 picks on two micrographs and, in the other stack, the same 20 as another pick would place and align them."""
    table = read_star(star)["particles"]
    rng = np.random.default_rng(1)
    first, second = table[:20].copy(), table[20:].copy()
    grid = np.stack(np.meshgrid(np.arange(5), np.arange(4)), -1).reshape(-1, 2) * 200.0
    first[["rlnCoordinateX", "rlnCoordinateY"]] = grid
    # another pick is centred by another origin
    moved = rng.normal(size=(20, 2)).round(2)
    origins = ["rlnOriginXAngst", "rlnOriginYAngst"]
    second[["rlnCoordinateX", "rlnCoordinateY"]] = grid + moved + [distance_px, 0.0]
    second[origins] = first[origins].to_numpy() + PIXEL_SIZE * moved
    second[ANGLES] = first[ANGLES].to_numpy() + 2.0
    second["rlnMicrographName"] = first["rlnMicrographName"].to_numpy()
    if micrographs is not None:
        second["rlnMicrographName"] = [micrographs.format(name) for name in second["rlnMicrographName"]]
    return pd.concat([first, second])


TWICE = dict.fromkeys(range(21, 41), SAME_PLACE)


def expanded(star: Path, copies: int) -> pd.DataFrame:
    """The table with every row that many times, turned about the axis."""
    table = read_star(star)["particles"]
    turns = (table.assign(rlnAngleRot=table["rlnAngleRot"] + 360 * copy / copies) for copy in range(copies))
    return pd.concat(turns, ignore_index=True)


def spread(star: Path, column: str, step: float) -> pd.DataFrame:
    """The table three times, a column of the copies ``step`` apart, on places that are all others."""
    table = expanded(star, 3)
    table["rlnCoordinateX"], table["rlnCoordinateY"] = 500.0 * (table.index % COUNT), 100.0
    table[column] = table[column] + step * (table.index // COUNT)
    return table


@pytest.mark.parametrize(
    ("column", "step", "right"),
    [
        ("rlnCoordinateX", 0.0, True),
        ("rlnCoordinateX", 200.0, False),
        ("rlnDefocusU", 500.0, True),
        ("rlnDefocusU", 2000.0, False),
    ],
)
def test_copies_of_an_expansion_have_one_place_and_one_defocus(
    star_set: Path, column: str, step: float, right: bool
) -> None:
    star = written(star_set, spread(star_set, column, step))
    if right:
        assert set_aside(star) == {}
        return
    with pytest.raises(InputError, match="an image that rows of other particles have too") as caught:
        check_particles(read_particles(star))
    assert (caught.value.row, caught.value.problem[:10]) == (1, "120 of 120")
    assert caught.value.fix is not None
    assert caught.value.fix.startswith("correct the numbers before the @ in rlnImageName")
    assert len(inspect(InspectConfig(particles=star)).unusable[SHARED_IMAGE]) == 3 * COUNT


def test_a_few_that_share_an_image_are_set_aside(star_set: Path) -> None:
    table = read_star(star_set)["particles"]
    table["rlnCoordinateX"], table["rlnCoordinateY"] = 500.0 * table.index, 100.0
    table.loc[30, "rlnImageName"] = table.loc[25, "rlnImageName"]
    assert set_aside(written(star_set, table)) == dict.fromkeys((26, 31), SHARED_IMAGE)


@pytest.mark.parametrize(("tilts", "right"), [((60, 90), True), ((30, 60, 90), False)])
def test_no_symmetry_makes_more_copies(star_set: Path, tilts: tuple[int, ...], right: bool) -> None:
    """The same number in every row (3dem/relion#707), in poses that are all over the sphere."""
    table = read_star(star_set)["particles"]
    turns = [(360 * turn / 39, tilt) for turn in range(39) for tilt in tilts]
    copies = [table.iloc[:1].assign(rlnAngleRot=rot, rlnAngleTilt=tilt) for rot, tilt in turns]
    star = written(star_set, pd.concat([table.iloc[1:], *copies]))
    if right:
        assert set_aside(star) == {}
        return
    with pytest.raises(InputError, match=f"{len(copies)} of .* an image that rows of other particles have too"):
        check_particles(read_particles(star))


@pytest.mark.parametrize(
    ("before", "after"),
    [("", ".tif"), ("", "_DW.mrc"), ("012345678901234567890_", "_patch_aligned_doseweighted.mrc")],
)
def test_the_same_place_on_a_micrograph_that_another_program_has_made(star_set: Path, before: str, after: str) -> None:
    table = picked_twice(star_set)
    names = table["rlnMicrographName"].to_numpy(copy=True)
    names[20:] = [f"motion/{before}{Path(name).stem}{after}" for name in names[20:]]
    assert set_aside(written(star_set, table.assign(rlnMicrographName=names))) == TWICE


@pytest.mark.parametrize("micrographs", [None, "MotionCorr/job002/{}", "/elsewhere/{}"])
def test_the_same_place_on_the_same_micrograph(star_set: Path, micrographs: str | None) -> None:
    assert set_aside(written(star_set, picked_twice(star_set, micrographs))) == TWICE


def test_one_micrograph_by_two_links(star_set: Path) -> None:
    for name in ("mic000.mrc", "mic001.mrc"):
        (star_set.parent / name).write_bytes(b"a micrograph")
        (star_set.parent / f"again_{name}").symlink_to(name)
    assert set_aside(written(star_set, picked_twice(star_set, "again_{}"))) == TWICE


def test_neighbours_and_other_micrographs_are_others(star_set: Path) -> None:
    """A tenth of the box, 3.2 A, tells a neighbour from the same particle; another name is another micrograph."""
    assert set_aside(written(star_set, picked_twice(star_set, distance_px=4.0))) == {}
    assert set_aside(written(star_set, picked_twice(star_set, "other_{}"))) == {}


def test_without_poses_the_picks_themselves_count(star_set: Path) -> None:
    table = picked_twice(star_set)
    origins = ["rlnOriginXAngst", "rlnOriginYAngst"]
    table.loc[20:, "rlnCoordinateX"] = table.loc[:19, "rlnCoordinateX"].to_numpy() + 1.0
    table.loc[20:, "rlnCoordinateY"] = table.loc[:19, "rlnCoordinateY"].to_numpy()
    assert set_aside(written(star_set, table.drop(columns=[*origins, *ANGLES]))) == TWICE


def test_pixels_of_the_micrograph_may_be_finer_than_those_of_the_images(star_set: Path) -> None:
    table = picked_twice(star_set)
    finer = table.assign(rlnCoordinateX=4 * table["rlnCoordinateX"], rlnCoordinateY=4 * table["rlnCoordinateY"])
    tables = read_star(star_set)
    tables["optics"]["rlnMicrographOriginalPixelSize"] = PIXEL_SIZE / 4
    write_star(star_set, tables)
    assert set_aside(written(star_set, finer)) == TWICE


@pytest.mark.parametrize("value", [0.0, 17.0])
@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_one_value_for_all_is_no_place(star_set: Path, value: float, spread: float) -> None:
    """Origins that differ make no places of it: five on each micrograph, some of them near each other by chance."""
    table = read_star(star_set)["particles"].assign(rlnCoordinateX=value, rlnCoordinateY=value)
    table["rlnMicrographName"] = [f"mic{row // 5}.mrc" for row in range(COUNT)]
    origins = spread * np.random.default_rng(1).normal(size=(COUNT, 2))
    table[["rlnOriginXAngst", "rlnOriginYAngst"]] = origins
    assert set_aside(written(star_set, table)) == {}


def test_parts_of_the_micrograph_taken_for_pixels_are_no_places(star_set: Path) -> None:
    rng = np.random.default_rng(1)
    table = read_star(star_set)["particles"].assign(rlnMicrographName="one.mrc")
    table[["rlnCoordinateX", "rlnCoordinateY"]] = rng.uniform(0, 1, (COUNT, 2))
    table["rlnOriginXAngst"] = table["rlnOriginYAngst"] = 0.0
    assert set_aside(written(star_set, table)) == {}


def test_a_place_is_not_taken_by_a_particle_that_is_set_aside(star_set: Path) -> None:
    table = picked_twice(star_set)
    table.iloc[0, table.columns.get_loc("rlnDefocusU")] = -1.0
    found = set_aside(written(star_set, table))
    assert 21 not in found
    assert found[22] == SAME_PLACE


def test_parts_of_a_large_particle_may_have_one_place(star_set: Path) -> None:
    """Two subunits of a capsid, one before the other, are at one place in other poses: they are kept together."""
    table = picked_twice(star_set)
    table.loc[20:, "rlnAngleTilt"] = 180 - table.loc[20:, "rlnAngleTilt"]
    star = written(star_set, table)
    assert set_aside(star) == {}
    halves = half_sets(read_particles(star), 0)
    assert torch.equal(halves.half_set[:20], halves.half_set[20:])
    assert any("20 particles are at the place of another one" in remark for remark in halves.remarks)


def test_segments_of_a_filament_overlap(star_set: Path) -> None:
    """A step of 2.8 A, less than the 3.2 A of one place; a filament is in one half-set."""
    table = read_star(star_set)["particles"].drop(columns="rlnRandomSubset")
    table = table.assign(rlnMicrographName="one.mrc", rlnHelicalTrackLengthAngst=2.8 * (np.arange(COUNT) % 20))
    table[ANGLES] = table.loc[0, ANGLES].to_numpy()
    table["rlnOriginXAngst"] = table["rlnOriginYAngst"] = 0.0
    table["rlnCoordinateX"], table["rlnCoordinateY"] = 1.4 * (np.arange(COUNT) % 20), 100.0 * (np.arange(COUNT) // 20)
    star = written(star_set, table)
    assert set_aside(star) == {}
    halves = half_sets(read_particles(star), 0).half_set
    assert sorted(halves[[0, 20]].tolist()) == [0, 1]
    assert halves[:20].unique().numel() == halves[20:].unique().numel() == 1


def test_all_may_be_kept(star_set: Path) -> None:
    star = written(star_set, picked_twice(star_set))
    report = check_particles(read_particles(star), keep_same_places=True)
    assert len(report.keep) == COUNT
