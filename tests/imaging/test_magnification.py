"""Magnification as an operator on images, and shifts on images as they are stored and as they are read."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cryorbit.core.data import Poses
from cryorbit.fourier.half_disc import half_disc
from cryorbit.fourier.stretched import stretched
from cryorbit.imaging.magnification import Magnification
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.imaging.shifts import shift_phases
from cryorbit.simulate.microscope import Microscope, draw_ctf
from phantom_sets import write_source

BOX, COUNT = 32, 6
IDENTITY = torch.eye(2, dtype=torch.float64)
MATRICES = torch.stack(
    [torch.tensor([[1.02, 0.01], [-0.02, 0.97]]).double(), IDENTITY, torch.tensor([[0.99, 0.0], [0.0, 1.0]]).double()]
)
SETTING = torch.tensor([0, 1, 2, 1, 0, 0])
SHIFTS = torch.linspace(-5, 5, 2 * COUNT).view(COUNT, 2).double()


@pytest.fixture
def source(tmp_path: Path, generator: torch.Generator) -> ParticleSource:
    """Blobs, at minus their shifts, as a microscope would leave them without a stretch."""
    axis = torch.arange(BOX) - BOX // 2
    x, y = (torch.exp(-((axis + SHIFTS[:, i, None]) ** 2) / 4) for i in (0, 1))
    ctf, _ = draw_ctf(COUNT, Microscope(), generator)
    return write_source(tmp_path / "images.mrcs", y[:, :, None] * x[:, None], ctf, 2.0)


@pytest.fixture
def magnified(source: ParticleSource) -> ParticleSource:
    return replace(source, operators=(Magnification(SETTING, MATRICES),))


def test_each_image_is_stretched_back_by_its_setting(source: ParticleSource, magnified: ParticleSource) -> None:
    stored, index = source.read(torch.arange(COUNT)), torch.tensor([4, 2, 3])
    read = magnified.read(index)
    for image, number in zip(read, index.tolist(), strict=True):
        undone = stretched(stored[number : number + 1], torch.linalg.inv(MATRICES[SETTING[number]]))[0]
        torch.testing.assert_close(image, undone, rtol=0, atol=2e-4)


def test_images_of_the_identity_keep_every_bit(source: ParticleSource, magnified: ParticleSource) -> None:
    index = torch.nonzero(SETTING == 1)[:, 0]
    assert torch.equal(magnified.read(index), source.read(index))
    everything = torch.arange(COUNT)
    changed = (magnified.read(everything) != source.read(everything)).flatten(1).any(1)
    assert changed.tolist() == (SETTING != 1).tolist()


def test_shifts_centre_the_images_as_they_are_read(source: ParticleSource, magnified: ParticleSource) -> None:
    """A blob at minus its shift on the stored image is centred by the shift on the image that is read."""
    disc, index = half_disc(BOX, 12), torch.arange(COUNT)
    poses = Poses(torch.eye(3).double().expand(COUNT, 3, 3), SHIFTS)
    on_read = magnified.poses_on_read(poses)
    centred = magnified.transform(index, disc) * shift_phases(on_read.shifts, disc)
    strong = centred.abs() > 1e-3 * centred.abs().max()
    assert float(centred.angle()[strong].abs().max()) < 0.05
    uncorrected = magnified.transform(index, disc) * shift_phases(SHIFTS, disc)
    assert float(uncorrected.angle()[strong].abs().max()) > 0.2
    torch.testing.assert_close(magnified.poses_on_stored(on_read).shifts, SHIFTS)
    assert source.poses_on_read(poses) is poses
    assert source.poses_on_stored(poses) is poses
