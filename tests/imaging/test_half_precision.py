"""Transforms in half precision: how far off they are, at any scale, and that rounding depends on the image alone."""

import pytest
import torch

from cryorbit.fourier.half_disc import half_disc, image_transform
from cryorbit.imaging.half_precision import HalfTransforms

BOX = 32
NYQUIST = half_disc(BOX, BOX / 2 - 1)


def coloured(generator: torch.Generator) -> torch.Tensor:
    """Images whose power falls by ten orders of magnitude from the origin to Nyquist."""
    images = torch.randn(5, BOX, BOX, generator=generator, dtype=torch.float64)
    frequency = torch.fft.fftfreq(BOX)
    radius = torch.hypot(frequency[:, None], frequency[: BOX // 2 + 1].abs()) * 2
    return torch.fft.irfft2(torch.fft.rfft2(images) * 10 ** (-5 * radius), s=(BOX, BOX)).float()


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1.0, 3e5, 1e30])
def test_parts_are_off_by_no_more_than_is_said(scale: float, generator: torch.Generator) -> None:
    images = scale * coloured(generator)
    halves = HalfTransforms.of(images, NYQUIST)
    exact, rounded = (torch.view_as_real(each).double() for each in (image_transform(images, NYQUIST), halves.single()))
    bound = torch.maximum(2.0**-11 * exact.abs(), 2.0 ** (halves.exponent.double() - 40)[:, None, None])
    assert bool(((rounded - exact).abs() <= bound).all())
    # and not by much less: numbers of half precision they are
    assert float(((rounded - exact).abs() / bound).max()) > 0.9


def test_the_brightest_image_there_can_be_does_not_overflow() -> None:
    """All its power is in one coefficient: the limit of the moduli is reached."""
    wave = torch.cos(2 * torch.pi * 3 * torch.arange(BOX) / BOX).sign().expand(1, BOX, BOX)
    transform = HalfTransforms.of(wave, NYQUIST).single()
    torch.testing.assert_close(transform, image_transform(wave, NYQUIST), rtol=2.0**-11, atol=1e-5)
    assert float(HalfTransforms.of(wave, NYQUIST).parts.abs().max()) > 2.0**13


def test_an_image_without_contrast_stays_one() -> None:
    assert torch.equal(HalfTransforms.of(torch.zeros(2, BOX, BOX), NYQUIST).single(), torch.zeros(2, len(NYQUIST)) + 0j)


def test_rounding_depends_on_the_image_alone(generator: torch.Generator) -> None:
    """Not on the radius, and not on the images beside it: what is read again is what was kept."""
    images, small = coloured(generator), half_disc(BOX, 6.5)
    whole = HalfTransforms.of(images, NYQUIST).single()
    assert torch.equal(HalfTransforms.of(images, small).single(), whole[:, : len(small)])
    assert torch.equal(HalfTransforms.of(images[3:4], NYQUIST).single(), whole[3:4])
