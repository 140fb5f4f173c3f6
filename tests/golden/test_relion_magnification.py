"""Magnification held to what RELION does with it (``relion_magnification.npz``; the maker script is beside it)."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cryorbit.fourier.half_disc import half_disc, image_transform
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.imaging.shifts import shift_phases
from cryorbit.io.particles import read_particles
from cryorbit.io.star_writing import write_star
from small_sets import write_stack

BOX = 64
DISC = half_disc(BOX, 0.4 * BOX)
CTF_ERROR = 2e-3
PHASE_ERROR_RAD = 0.03
"""Mean over the transform of the blobs. RELION interpolates linearly; a wrong matrix is off by three times as much."""


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    """Everything in the file."""
    with np.load(Path(__file__).with_name("relion_magnification.npz")) as file:
        return dict(file)


def source_of(
    folder: Path, golden: dict[str, np.ndarray], image: str, matrix: np.ndarray
) -> tuple[ParticleSource, torch.Tensor]:
    """One image whose table states a matrix, and the shift in pixels that centres it, as recipes have them."""
    pixel_size, lens = float(golden["pixel_size"]), golden["lens"]
    write_stack(folder / "one.mrcs", golden[image][None], pixel_size)
    optics = {"rlnOpticsGroup": 1, "rlnImagePixelSize": pixel_size, "rlnImageSize": BOX}
    optics |= dict(zip(("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast"), lens[3:], strict=True))
    optics |= {f"rlnMagMat{row}{column}": matrix[row, column] for row in (0, 1) for column in (0, 1)}
    particle = {"rlnImageName": "000001@one.mrcs", "rlnOpticsGroup": 1}
    particle |= dict(zip(("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle"), lens[:3], strict=True))
    particle |= dict.fromkeys(("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"), 0.0)
    particle |= dict(zip(("rlnOriginXAngst", "rlnOriginYAngst"), golden["origin_A"], strict=True))
    write_star(folder / "one.star", {"optics": pd.DataFrame([optics]), "particles": pd.DataFrame([particle])})
    particles = read_particles(folder / "one.star")
    assert particles.poses is not None
    source = ParticleSource.of(particles, None, torch.device("cpu"), inverted=False)
    return source, source.poses_on_read(particles.poses).shifts


def turned(matrix: np.ndarray, which: str) -> np.ndarray:
    """RELION's matrix, or one of those that it could be mistaken for."""
    made = {"right": matrix, "inverse": np.linalg.inv(matrix), "transposed": matrix.T, "none": np.eye(2)}
    return made[which]


@pytest.mark.parametrize("which", ["right", "inverse", "transposed", "none"])
def test_the_ctf_of_a_stretched_image(which: str, golden: dict[str, np.ndarray], tmp_path: Path) -> None:
    """The Gaussian, which RELION does not stretch, is stretched by what undoes the stretch of the CTF."""
    matrix = turned(golden["matrix"], which)
    source, shift = source_of(tmp_path, golden, "spread", matrix)
    found = source.transform(torch.tensor([0]), DISC) * shift_phases(shift, DISC) * BOX
    before = DISC.frequencies.double() @ torch.from_numpy(np.linalg.inv(matrix).T) / BOX
    gaussian = torch.exp(-2 * (torch.pi * float(golden["width"])) ** 2 * before.square().sum(1))
    error = (found - source.transfer(torch.tensor([0]), DISC).ctf * gaussian).abs().max()
    assert (float(error) < CTF_ERROR) == (which == "right")
    assert which == "right" or float(error) > 3 * CTF_ERROR


@pytest.mark.parametrize("which", ["right", "inverse", "transposed", "none"])
def test_projections_of_a_stretched_image(which: str, golden: dict[str, np.ndarray], tmp_path: Path) -> None:
    source, shift = source_of(tmp_path, golden, "image", turned(golden["matrix"], which))
    found = (source.transform(torch.tensor([0]), DISC) * shift_phases(shift, DISC))[0]
    theirs = image_transform(torch.from_numpy(golden["corrected"]), DISC)
    strong = theirs.abs() > 0.03 * theirs.abs().max()
    error = (found * theirs.conj()).angle().abs()[strong].mean()
    assert (float(error) < PHASE_ERROR_RAD) == (which == "right")
    assert which == "right" or float(error) > 3 * PHASE_ERROR_RAD
