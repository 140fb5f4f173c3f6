"""Half-maps made of known signal and known noise."""

import torch
from torch import Tensor

from cryorbit.evaluation.radial_filter import apply_gain
from cryorbit.imaging.masks import soft_ball


def white_particle(box: int, generator: torch.Generator, radius: float) -> Tensor:
    """White noise of standard deviation 1 inside a soft ball: power at all frequencies, density in one place."""
    return torch.randn(box, box, box, generator=generator) * soft_ball(box, radius, 3)


def noisy_halves(signal: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    """Two copies of a map with independent white noise of standard deviation ``noise``."""
    return signal + noise * torch.randn(2, *signal.shape, generator=generator)


def fall_off(box: int, pixel_size: float, b_factor: float) -> Tensor:
    """Gains of the shells by which amplitudes fall with a B-factor (positive here), A^2."""
    frequency = torch.arange(box // 2 + 1).double() / (box * pixel_size)
    return torch.exp(-0.25 * b_factor * frequency**2)


def fading(signal: Tensor, pixel_size: float, b_factor: float) -> Tensor:
    """The map with amplitudes that fall with a B-factor."""
    return apply_gain(signal, fall_off(signal.shape[-1], pixel_size, b_factor))
