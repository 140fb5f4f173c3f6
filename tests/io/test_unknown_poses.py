"""Poses of which a number is not known, or cannot be: they are none, and cost no other particle anything."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.io.checks import check_particles
from cryorbit.io.particles import Particles, read_particles
from cryorbit.io.posed import posed_particles
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from cryorbit.recipes.convert import ConvertConfig
from cryorbit.recipes.convert import run as convert
from cryorbit.recipes.inspect import InspectConfig
from cryorbit.recipes.inspect import run as inspect
from small_sets import COUNT, save_cs

ROWS = [4, 11, 12, 30]
ANGLES = ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]
ORIGINS = ["rlnOriginXAngst", "rlnOriginYAngst"]


def with_values(star: Path, label: str, value: str) -> Path:
    """The set with ``value`` in the column at `ROWS`."""
    tables = read_star(star)
    column = tables["particles"][label].astype(object)
    column.iloc[ROWS] = value
    changed = star.with_name("changed.star")
    write_star(changed, tables | {"particles": tables["particles"].assign(**{label: column})})
    return changed


def without(star: Path, *labels: str) -> Path:
    """The set without some of its columns."""
    tables = read_star(star)
    changed = star.with_name("changed.star")
    write_star(changed, tables | {"particles": tables["particles"].drop(columns=list(labels))})
    return changed


def unposed_rows(particles: Particles) -> list[int]:
    return torch.nonzero(~particles.aligned)[:, 0].tolist()


@pytest.mark.parametrize(
    ("label", "value"),
    [(label, value) for label in (*ANGLES, *ORIGINS) for value in ("nan", "None", "<NA>", "inf")]
    + [(label, "1e12") for label in ANGLES],
)
def test_rows_of_a_star_file(star_set: Path, label: str, value: str) -> None:
    particles = read_particles(with_values(star_set, label, value))
    assert unposed_rows(particles) == ROWS
    kept, said = posed_particles(particles)
    others = [row for row in range(COUNT) if row not in ROWS]
    assert (kept.rows - 1).tolist() == others
    assert said == "4 of 40 particles have no pose (rotation 0, or no number; rows 5, 12, 13 ...) and are left out."
    sound = read_particles(star_set)
    assert sound.poses is not None
    assert kept.poses is not None
    assert torch.equal(kept.poses.rotations, sound.poses.rotations[others])
    assert torch.equal(kept.poses.shifts, sound.poses.shifts[others])


@pytest.mark.parametrize("value", ["nan", "None"])
def test_what_needs_no_poses_uses_all_particles(star_set: Path, value: str) -> None:
    changed = with_values(star_set, "rlnAngleTilt", value)
    assert len(check_particles(read_particles(changed)).keep) == COUNT
    found = inspect(InspectConfig(particles=changed))
    assert "Without a pose (rotation 0, or no number): 4 particles (rows 5, 12, 13 ...)." in found.warnings()
    assert found.posed


def test_no_row_has_a_pose(star_set: Path) -> None:
    tables = read_star(star_set)
    write_star(star_set, tables | {"particles": tables["particles"].assign(rlnAnglePsi="None")})
    with pytest.raises(InputError, match=r"the particles have no poses: all rotations are 0, as .*, or no number"):
        posed_particles(read_particles(star_set))


@pytest.mark.parametrize(
    ("field", "value"), [("pose", np.nan), ("pose", np.inf), ("pose", 1e12), ("shift", np.nan), ("shift", np.inf)]
)
def test_rows_of_a_cs_file(cs_set: Path, field: str, value: float) -> None:
    records = np.load(cs_set)
    records[f"alignments3D/{field}"][ROWS] = value
    save_cs(cs_set, records)
    particles = read_particles(cs_set)
    assert unposed_rows(particles) == ROWS
    assert len(check_particles(particles).keep) == COUNT


@pytest.mark.parametrize("name", ["new.cs", "new.star"])
def test_conversion_of_a_star_file(star_set: Path, name: str) -> None:
    changed = with_values(star_set, "rlnAngleTilt", "None")
    assert convert(ConvertConfig(source=changed, target=star_set.with_name(name), check=True)).faithful
    assert unposed_rows(read_particles(star_set.with_name(name))) == ROWS


def test_conversion_of_a_cs_file(cs_set: Path) -> None:
    records = np.load(cs_set)
    records["alignments3D/pose"][ROWS] = np.nan
    save_cs(cs_set, records)
    target = cs_set.parent / "new.star"
    assert convert(ConvertConfig(source=cs_set, target=target, check=True)).faithful
    assert unposed_rows(read_particles(target)) == ROWS


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        (("rlnAnglePsi",), "there is no column rlnAnglePsi beside rlnAngleRot and rlnAngleTilt"),
        (("rlnAngleRot",), "there is no column rlnAngleRot beside rlnAngleTilt and rlnAnglePsi"),
        (
            ("rlnAngleTilt", "rlnAnglePsi"),
            "no column rlnAngleTilt and no column rlnAnglePsi beside rlnAngleRot",
        ),
    ],
)
def test_an_angle_without_the_others(star_set: Path, lost: tuple[str, ...], said: str) -> None:
    changed = without(star_set, *lost)
    with pytest.raises(InputError, match=said) as caught:
        posed_particles(read_particles(changed))
    assert caught.value.fix is not None
    assert caught.value.fix.startswith(f"add {' and '.join(lost)}, or correct the label")
    assert any(said in warning for warning in inspect(InspectConfig(particles=changed)).warnings())
    assert len(check_particles(read_particles(changed)).keep) == COUNT


def test_picking_leaves_the_angle_in_the_plane_alone(star_set: Path) -> None:
    changed = without(star_set, "rlnAngleRot", "rlnAngleTilt")
    with pytest.raises(InputError, match="the particles have no poses"):
        posed_particles(read_particles(changed))
    assert not [said for said in inspect(InspectConfig(particles=changed)).warnings() if "rlnAngle" in said]


@pytest.mark.parametrize("lost", ORIGINS)
def test_an_origin_without_the_other(star_set: Path, lost: str) -> None:
    with pytest.raises(InputError, match=f"and no column {lost}"):
        read_particles(without(star_set, lost))
