"""Angles and origins that may be of another unit: each is named, and those of good sets are not."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import ArrayLike

from cryorbit.io.particles import read_particles
from cryorbit.io.pose_doubts import pose_doubts
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from cryorbit.recipes.inspect import InspectConfig
from cryorbit.recipes.inspect import run as inspect
from small_sets import BOX, PIXEL_SIZE, blob_images, write_star_set

COUNT = 60
ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
ORIGINS_A, ORIGINS_PX = ("rlnOriginXAngst", "rlnOriginYAngst"), ("rlnOriginX", "rlnOriginY")


@pytest.fixture
def star(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A set with poses all around, and shifts of a pixel."""
    path = write_star_set(tmp_path, blob_images(COUNT, rng))
    rot, psi = rng.uniform(-180, 180, (2, COUNT))
    tilt = np.rad2deg(np.arccos(rng.uniform(-1, 1, COUNT)))
    x, y = rng.normal(0, PIXEL_SIZE, (2, COUNT))
    return changed(path, **dict(zip((*ANGLES, *ORIGINS_A), (rot, tilt, psi, x, y), strict=True)))


def changed(star: Path, **columns: ArrayLike) -> Path:
    tables = read_star(star)
    write_star(star, tables | {"particles": tables["particles"].assign(**columns)})
    return star


def column(star: Path, label: str) -> pd.Series:
    return read_star(star)["particles"][label]


def doubts(star: Path) -> list[str]:
    return pose_doubts(read_particles(star))


def test_nothing_is_said_of_a_good_set(star: Path) -> None:
    assert not doubts(star)


@pytest.mark.parametrize("label", ANGLES)
def test_one_angle_in_radians(star: Path, label: str) -> None:
    (said,) = doubts(changed(star, **{label: np.deg2rad(column(star, label))}))
    assert said.startswith(f"{label} lies between ")
    assert "degrees in all 60 particles, as radians would, and the other angles do not" in said
    assert said.endswith("; fix: multiply it by 57.296 if it is in radians")
    assert any(said[3:] in warning for warning in inspect(InspectConfig(particles=star)).warnings())


@pytest.mark.parametrize(
    ("label", "values"),
    [
        # filaments along one axis, views from one side, nearly the top, and a single row beyond a turn
        ("rlnAnglePsi", np.linspace(-1.5, 1.5, COUNT)),
        ("rlnAngleRot", np.zeros(COUNT)),
        ("rlnAngleTilt", np.linspace(0, 1, COUNT)),
        ("rlnAnglePsi", np.linspace(-3.1, 7.0, COUNT)),
    ],
)
def test_small_angles_that_are_degrees(star: Path, label: str, values: np.ndarray) -> None:
    assert not doubts(changed(star, **{label: values}))


@pytest.mark.parametrize(("labels", "unit"), [(ORIGINS_A, PIXEL_SIZE), (ORIGINS_PX, 1.0)])
@pytest.mark.parametrize(("part", "doubted"), [(0.5, True), (0.05, False)])
def test_shifts_that_leave_the_box(
    star: Path, labels: tuple[str, str], unit: float, part: float, doubted: bool
) -> None:
    far = np.where(np.arange(COUNT) < part * COUNT, 0.3 * BOX * unit, 0.0)
    tables = read_star(star)
    particles = tables["particles"].drop(columns=list(ORIGINS_A)).assign(**{labels[0]: far, labels[1]: 0.0})
    write_star(star, tables | {"particles": particles})
    said = doubts(star)
    assert bool(said) == doubted
    assert all(f"30 of 60 particles are shifted by more than a quarter of the box ({labels[0]}, " in s for s in said)
