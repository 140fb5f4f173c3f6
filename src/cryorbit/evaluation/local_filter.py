"""A map low-passed everywhere to its local resolution."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.evaluation.radial_filter import EDGE, raised_cosine
from cryorbit.fourier.shells import shell_indices

LEVELS = 16
"""Cut-offs at which the map is filtered; between two of them it is interpolated."""
LEAST_RANGE = 0.1
"""Shells between the first and the last of them, also where the resolution is the same everywhere."""


def filter_locally(
    volume: Float[Tensor, "n n n"], resolution_A: Float[Tensor, "n n n"], pixel_size: float
) -> Float[Tensor, "n n n"]:
    """The map with every voxel taken from the map low-passed at the voxel's resolution (A)."""
    box = volume.shape[-1]
    cutoff = box * pixel_size / resolution_A
    lowest = float(cutoff.min())
    levels = torch.linspace(lowest, max(float(cutoff.max()), lowest + LEAST_RANGE), LEVELS).tolist()
    spacing = levels[1] - levels[0]
    spectrum = torch.fft.rfftn(volume)
    shells = shell_indices(box).to(volume.device)
    edge = max(EDGE, spacing)
    filtered = torch.zeros_like(volume)
    for level in levels:
        share = (1 - (cutoff - level).abs() / spacing).clamp_min(0)
        gain = raised_cosine(shells, level, edge).to(volume)
        filtered += share * torch.fft.irfftn(spectrum * gain, s=volume.shape)
    return filtered
