"""Simulated multireference alignment: a pulse, a density of shifts, and noisy windows of shifted copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.imaging.windowed_shifts import WindowedShifts


@dataclass(frozen=True, slots=True)
class MRAObservations:
    """Simulated observations and their hidden shifts."""

    data: Float[Tensor, "n c w"]
    shifts: Int[Tensor, " n"]


def gaussian_pulse(length: int, width: float) -> Float[Tensor, "1 n"]:
    """A real Gaussian of standard deviation ``width`` samples in the middle of ``length``, of norm 1; float64."""
    position = torch.arange(length, dtype=torch.float64) - length // 2
    pulse = torch.exp(-(position**2) / (2 * width**2))
    return (pulse / pulse.norm())[None]


def mixture_density(length: int, centres: Sequence[float], width: float) -> Float[Tensor, " n"]:
    """Density of shifts: an equal mixture of Gaussians on the circle, of standard deviation ``width``; float64."""
    position = torch.arange(length, dtype=torch.float64)
    distance = (position - torch.tensor(centres, dtype=torch.float64)[:, None] + length / 2) % length - length / 2
    bumps = torch.exp(-(distance**2) / (2 * width**2))
    return (bumps / bumps.sum(1, keepdim=True)).mean(0)


def draw_observations(
    signal: Float[Tensor, "c n"],
    density: Float[Tensor, " n"],
    window: int,
    sigma: float,
    count: int,
    generator: torch.Generator,
) -> MRAObservations:
    """``count`` windows of the signal under shifts drawn from ``density``, with white noise in every real entry."""
    shifts = torch.multinomial(density, count, replacement=True, generator=generator)
    clean = WindowedShifts.of(signal.shape[1], window, signal).project(signal)[shifts]
    noise = torch.randn(clean.shape, generator=generator, dtype=signal.dtype)
    return MRAObservations(clean + sigma * noise, shifts)
