"""Aberrations held to what RELION does with them (``relion_aberrations.npz``; the maker script is beside it)."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cryorbit.fourier.half_disc import half_disc, image_transform
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.imaging.transfer import Transfer
from cryorbit.io.particles import read_particles
from cryorbit.io.star_writing import write_star
from small_sets import write_stack

BOX = 32
DISC = half_disc(BOX, 0.4 * BOX)
EVEN_CASES, ODD_CASES = range(9), range(9)
PHASE_ERROR_RAD = 0.05
"""RELION interpolates the transform that it corrects; a wrong sign or term is off by ten times as much."""


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    """Everything in the file."""
    with np.load(Path(__file__).with_name("relion_aberrations.npz")) as file:
        return dict(file)


def transfer_of(folder: Path, pixel_size: float, defocus: float, contrast: float, **stated: object) -> Transfer:
    """The transfer of one image whose table states aberrations, as recipes have it."""
    write_stack(folder / "one.mrcs", np.zeros((1, BOX, BOX), np.float32), pixel_size)
    optics = {"rlnOpticsGroup": 1, "rlnVoltage": 300.0, "rlnSphericalAberration": 2.7, "rlnAmplitudeContrast": contrast}
    optics |= {"rlnImagePixelSize": pixel_size, "rlnImageSize": BOX, **stated}
    particle = {"rlnImageName": "000001@one.mrcs", "rlnOpticsGroup": 1, "rlnDefocusAngle": 0.0}
    particle |= {"rlnDefocusU": defocus, "rlnDefocusV": defocus}
    write_star(folder / "one.star", {"optics": pd.DataFrame([optics]), "particles": pd.DataFrame([particle])})
    particles = read_particles(folder / "one.star")
    source = ParticleSource.of(particles, None, torch.device("cpu"), inverted=False)
    return source.transfer(torch.tensor([0]), DISC)


@pytest.mark.parametrize("number", EVEN_CASES)
def test_symmetric_aberrations_add_to_the_phase_of_the_ctf(
    number: int, golden: dict[str, np.ndarray], tmp_path: Path
) -> None:
    theirs = image_transform(torch.from_numpy(golden[f"point_spread_{number}"]), DISC) * BOX
    stated = str(golden[f"even_{number}"])
    ours = transfer_of(tmp_path, float(golden["pixel_size"]), 3000.0, 0.1, rlnEvenZernike=stated)
    assert ours.turn is None
    torch.testing.assert_close(ours.ctf[0], theirs.real, rtol=0, atol=2e-6)
    without = transfer_of(tmp_path, float(golden["pixel_size"]), 3000.0, 0.1)
    assert float((without.ctf - ours.ctf).abs().max()) > 0.05


@pytest.mark.parametrize("number", ODD_CASES)
def test_antisymmetric_aberrations_turn_phases(number: int, golden: dict[str, np.ndarray], tmp_path: Path) -> None:
    """A cubic term beside a beam tilt is the tilt's, whatever the coefficients say."""
    theirs = image_transform(torch.from_numpy(golden[f"corrected_{number}"]), DISC)
    tilt, odd = golden[f"tilt_{number}"], str(golden[f"odd_{number}"])
    stated: dict[str, object] = {} if odd == "[]" else {"rlnOddZernike": odd}
    if np.isfinite(tilt).all():
        stated |= {"rlnBeamTiltX": tilt[0], "rlnBeamTiltY": tilt[1]}
    turn = transfer_of(tmp_path, float(golden["pixel_size"]), 0.0, 1.0, **stated).turn
    assert turn is not None
    # the point has phases of 0: what is left was taken out
    assert float((theirs * turn[0]).angle().abs().max()) < PHASE_ERROR_RAD
    assert float((theirs * turn[0].conj()).angle().abs().max()) > 5 * PHASE_ERROR_RAD
