"""Filters of a map that depend on the length of the frequency alone, given as one gain a shell."""

from __future__ import annotations

import torch
from jaxtyping import Float, Real
from torch import Tensor

from cryorbit.fourier.shells import half_spectrum_weights, shell_indices, shell_sums

EDGE = 2.0
"""Width of the raised cosine at the end of a low-pass filter, shells."""


def apply_gain(volume: Float[Tensor, "n n n"], gain: Float[Tensor, " s"]) -> Float[Tensor, "n n n"]:
    """The map with every shell multiplied by its gain; frequencies beyond the last shell take the last gain."""
    shells = shell_indices(volume.shape[-1]).clamp(max=len(gain) - 1).to(volume.device)
    return torch.fft.irfftn(torch.fft.rfftn(volume) * gain.to(volume)[shells], s=volume.shape)


def with_spectrum_of(volume: Float[Tensor, "n n n"], like: Float[Tensor, "n n n"]) -> Float[Tensor, "n n n"]:
    """The map with the power of every shell made that of another map, its phases as they were."""
    box = volume.shape[-1]
    shells = shell_indices(box).to(volume.device)
    power = torch.fft.rfftn(torch.stack([volume, like]), dim=(-3, -2, -1)).abs().square()
    weighted = (power * half_spectrum_weights(box).to(power)).flatten(1).double()
    present, wanted = shell_sums(weighted, shells.flatten(), int(shells.max()) + 1)
    return apply_gain(volume, torch.sqrt(wanted / present.clamp_min(torch.finfo(volume.dtype).tiny)))


def low_pass(box: int, pixel_size: float, resolution_A: float, edge: float = EDGE) -> Float[Tensor, " s"]:
    """Gains of shells 0 ... box / 2: 1 to ``resolution_A``, 0 beyond, a raised cosine of ``edge`` shells between."""
    return raised_cosine(torch.arange(box // 2 + 1).double(), box * pixel_size / resolution_A, edge)


def raised_cosine(radius: Real[Tensor, "*shape"], cutoff: float, edge: float) -> Float[Tensor, "*shape"]:
    """1 below ``cutoff``, 0 above it, with a cosine from ``cutoff - edge / 2`` to ``cutoff + edge / 2``."""
    return 0.5 * (1 + torch.cos(torch.pi * ((radius - cutoff) / edge + 0.5).clamp(0, 1)))
