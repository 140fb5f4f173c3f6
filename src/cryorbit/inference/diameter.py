"""The particle's diameter, from where the images vary more than their background."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.imaging.particle_source import ParticleSource

ENCLOSED = 0.95
"""Fraction of the excess variance within the estimated radius."""
READ_BATCH = 250
CERTAINTY = 5.0


def estimate_diameter(source: ParticleSource, index: Int[Tensor, " m"]) -> float | None:
    """Diameter in A that holds nearly all signal, or None when the signal does not stand out of the noise.

    Noise is alike everywhere in an image, so the variance over particles exceeds that of the corners where the
    particle is; delocalisation and shifts blur its edge, which errs on the safe side.
    """
    variance = _radial_variance(source, index)
    rings = torch.arange(len(variance), dtype=torch.float64)
    corner = variance[source.box // 2 - 2 :].median()
    excess = (variance - corner)[: source.box // 2 - 1]
    pixels = 2 * torch.pi * rings[: len(excess)].clamp_min(0.5)
    scatter = corner * (2 / (pixels * len(index))).sqrt()
    if not bool((excess > CERTAINTY * scatter)[: source.box // 8].any()):
        return None
    significant = torch.where(excess > 2 * scatter, excess, 0.0) * pixels
    enclosed = significant.cumsum(0) / significant.sum()
    radius = int((enclosed < ENCLOSED).sum())
    return 2 * max(radius, 3) * source.pixel_size


def _radial_variance(source: ParticleSource, index: Int[Tensor, " m"]) -> Float[Tensor, " r"]:
    """Mean square of the pixels of all images in rings one pixel wide, out to the corners."""
    axis = torch.arange(source.box) - source.box // 2
    ring = torch.hypot(axis[:, None].double(), axis.double()).round().long().flatten()
    total = torch.zeros(source.box**2, dtype=torch.float64)
    for part in source.batches(len(index), READ_BATCH):
        total += (source.read(index[part]).cpu().double() ** 2).sum(0).flatten()
    count = torch.bincount(ring)
    return torch.zeros(len(count), dtype=torch.float64).index_add_(0, ring, total) / (count * len(index))
