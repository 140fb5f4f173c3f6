"""Stationary noise of a given radial power spectrum and unit pixel variance."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def white_spectrum(box: int) -> Float[Tensor, "n h"]:
    """Power 1 in every coefficient of the half plane ``(n, n // 2 + 1)`` of the unitary transform."""
    return torch.ones(box, box // 2 + 1)


def coloured_spectrum(box: int, corner: float, exponent: float) -> Float[Tensor, "n h"]:
    """Power proportional to ``1 + (corner / |k|)^exponent``, of mean 1 over the full plane; 0 at the origin.

    Parameters
    ----------
    box
        Side of the images, pixels.
    corner
        Radius, Fourier pixels, at which the power is twice that of the highest frequencies.
    exponent
        Steepness of the rise towards the origin. The origin has no power, as images are normalised to mean 0.
    """
    ky = torch.fft.fftfreq(box, 1 / box)
    kx = torch.arange(box // 2 + 1)
    radius = torch.hypot(kx.expand(box, -1).float(), ky[:, None])
    power = 1 + (corner / radius.clamp_min(1.0)) ** exponent
    power[0, 0] = 0.0
    # columns between the first and the last stand for their mates in the other half plane too
    multiplicity = torch.full_like(kx, 2)
    multiplicity[0] = multiplicity[-1] = 1
    return power * box**2 / (power * multiplicity).sum()


def draw_noise(count: int, spectrum: Float[Tensor, "n h"], generator: torch.Generator) -> Float[Tensor, "b n n"]:
    """Gaussian noise images with this expected power in the coefficients of their unitary transforms."""
    box = len(spectrum)
    white = torch.randn(count, box, box, generator=generator)
    return torch.fft.irfft2(torch.fft.rfft2(white) * spectrum.sqrt(), s=(box, box))
