"""Particles as inference sees them: normalised, with white protein, weighted by CTF and noise."""

import os
import struct
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.fourier.half_disc import half_disc, image_transform
from cryorbit.imaging.ctf import ctf_values
from cryorbit.imaging.image_operators import Inversion
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.io.grey_levels import GreyLevels
from cryorbit.simulate.microscope import Microscope, draw_ctf
from phantom_sets import write_source

BOX, COUNT, PIXEL_SIZE = 32, 12, 3.0


@pytest.fixture
def images(generator: torch.Generator) -> torch.Tensor:
    return torch.randn(COUNT, BOX, BOX, generator=generator)


@pytest.fixture
def source(tmp_path: Path, images: torch.Tensor, generator: torch.Generator) -> ParticleSource:
    ctf, _ = draw_ctf(COUNT, Microscope(particles_per_micrograph=5), generator)
    return write_source(tmp_path / "images.mrcs", images, ctf, PIXEL_SIZE)


def test_images_come_as_asked_for(source: ParticleSource, images: torch.Tensor) -> None:
    index = torch.tensor([7, 0, 11])
    assert (len(source), source.box) == (COUNT, BOX)
    assert torch.equal(source.read(index), images[index])
    inverted = replace(source, operators=(Inversion(),))
    assert torch.equal(inverted.read(index), -images[index])
    assert (source.inverted, inverted.inverted) == (False, True)


@pytest.mark.parametrize("inverted", [False, True])
def test_grey_levels_are_taken_out(
    inverted: bool, tmp_path: Path, images: torch.Tensor, source: ParticleSource
) -> None:
    gain = torch.linspace(0.01, 50, COUNT)
    spoiled = gain[:, None, None] * (images + 3)
    spoiled[5, 2, 3] = 1e7
    no_limit = torch.full((2, COUNT), torch.inf)
    levels = GreyLevels(3 * gain, *no_limit, 3 * gain, 1 / gain, torch.zeros(COUNT, 4, dtype=torch.int64))
    levels.reach[5] = 10 * gain[5]
    written = write_source(tmp_path / "spoiled.mrcs", spoiled, source.ctf, PIXEL_SIZE)
    index = torch.tensor([7, 5, 0, 11])
    read = replace(written, operators=(levels, *([Inversion()] if inverted else []))).read(index)
    # gains and offsets leave no trace, the outlier becomes the median, which is the offset here
    expected = images.clone()
    expected[5, 2, 3] = 0
    torch.testing.assert_close(read, -expected[index] if inverted else expected[index], rtol=0, atol=1e-4)


@dataclass(frozen=True)
class Added:
    """A number that is added to each image."""

    number: torch.Tensor

    def __getitem__(self, index: torch.Tensor) -> "Added":
        return Added(self.number[index])

    def apply(self, images: torch.Tensor) -> torch.Tensor:
        """The images plus their numbers."""
        return images + self.number[:, None, None]


def test_operators_act_in_order_on_their_own_images(source: ParticleSource, images: torch.Tensor) -> None:
    """An operator of one's own beside that of the package, before and after it."""
    index, added = torch.tensor([7, 0, 11]), Added(torch.arange(COUNT) + 1.0)
    mine = added.number[index, None, None]
    for operators, expected in (
        ((added, Inversion()), -(images[index] + mine)),
        ((Inversion(), added), mine - images[index]),
    ):
        acting = replace(source, operators=operators)
        assert torch.equal(acting.read(index), expected)
        transform = acting.transform(index, half_disc(BOX, 5))
        torch.testing.assert_close(transform, image_transform(expected, half_disc(BOX, 5)))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_pixels_that_are_not_finite_do_not_get_in(
    value: float, tmp_path: Path, images: torch.Tensor, source: ParticleSource
) -> None:
    spoiled = write_source(tmp_path / "spoiled.mrcs", images, source.ctf, PIXEL_SIZE)
    with (tmp_path / "spoiled.mrcs").open("r+b") as stack:
        stack.seek(-4 * (3 * BOX**2 + 1), os.SEEK_END)
        stack.write(struct.pack("<f", value))
    assert torch.equal(spoiled.read(torch.tensor([7, 9])), images[[7, 9]])
    with pytest.raises(InputError, match=r"spoiled\.mrcs: image 9 has pixels that are not finite"):
        spoiled.read(torch.tensor([7, 8, 9]))


def test_observations_are_transforms_times_ctf_over_noise(source: ParticleSource, images: torch.Tensor) -> None:
    disc = half_disc(BOX, 12)
    noise = torch.linspace(1, 3, BOX // 2 + 1)
    index = torch.tensor([3, 4, 9])
    observed = source.observe(index, disc, noise)
    ctf = ctf_values(source.ctf[index], disc.frequencies / (BOX * PIXEL_SIZE))
    variance = noise[disc.shells]
    transform = image_transform(images[index], disc)
    torch.testing.assert_close(observed.data, 2 * ctf * transform / variance)
    torch.testing.assert_close(observed.weight, 2 * ctf**2 / variance)
    torch.testing.assert_close(observed.power, 2 * transform.abs() ** 2 / variance)


@pytest.mark.parametrize("premultiplied", [False, True])
def test_contrast_scales_multiply_what_is_expected_of_an_image(source: ParticleSource, premultiplied: bool) -> None:
    disc, noise, index = half_disc(BOX, 12), torch.linspace(1, 3, BOX // 2 + 1), torch.tensor([3, 4, 9])
    plain = replace(source, premultiplied=premultiplied)
    scale = torch.linspace(0.5, 2, COUNT)
    even, scaled = (each.observe(index, disc, noise) for each in (plain, replace(plain, scale=scale)))
    mine = scale[index, None]
    torch.testing.assert_close(scaled.data, mine * even.data)
    torch.testing.assert_close(scaled.weight, mine**2 * even.weight)
    # what the image holds is what it held; next to the zeros of the CTF it cannot be told from a premultiplied one
    transfer = (even.weight * noise[disc.shells] / 2).sqrt()
    clear = transfer * mine.clamp_max(1) > 0.11
    torch.testing.assert_close(scaled.power[clear], even.power[clear])


def test_a_premultiplied_set_is_seen_as_the_plain_one(
    source: ParticleSource, images: torch.Tensor, tmp_path: Path
) -> None:
    """Images multiplied with their CTF on disk give the same data and weights, and the same power off the zeros."""
    ky, kx = np.meshgrid(np.fft.fftfreq(BOX, PIXEL_SIZE), np.fft.rfftfreq(BOX, PIXEL_SIZE), indexing="ij")
    ctf = ctf_values(source.ctf, torch.from_numpy(np.stack([kx.ravel(), ky.ravel()], -1)))
    multiplied = torch.fft.irfft2(torch.fft.rfft2(images) * ctf.unflatten(1, (BOX, -1)), s=(BOX, BOX))
    written = write_source(tmp_path / "multiplied.mrcs", multiplied, source.ctf, PIXEL_SIZE)
    premultiplied = replace(written, premultiplied=True)
    disc, noise, everything = half_disc(BOX, 12), torch.ones(BOX // 2 + 1), torch.arange(COUNT)
    theirs, ours = (each.observe(everything, disc, noise) for each in (source, premultiplied))
    torch.testing.assert_close(ours.data, theirs.data, rtol=0, atol=1e-5)
    assert torch.equal(ours.weight, theirs.weight)
    clear = theirs.weight > 2 * 0.1**2 * 1.001
    torch.testing.assert_close(ours.power[clear], theirs.power[clear], rtol=1e-3, atol=1e-3)
    assert bool((ours.power <= theirs.power * (1 + 1e-3) + 1e-3).all())
