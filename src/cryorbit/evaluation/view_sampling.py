"""How evenly the views of a particle set sample Fourier space.

A view samples the plane of frequencies perpendicular to its direction. The sampling of an axis ``u`` is the number
of views whose plane passes within half a Fourier pixel of it at a given radius, ``|u . d| < 1 / (2 R)``. Uneven
sampling amplifies noise by ``<s> <1 / s>``; the sampling compensation factor is the inverse (Baldwin & Lyumkis 2020):
1 for uniform views, 8 / pi^2 = 0.81 for side views only. What is not sampled at all is left out of the means, and the
factor multiplied with the part that is sampled.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.geometry.hemisphere import hemisphere

BIASED = 0.81
"""Factor below which views are unevenly spread (cryoSPARC's threshold for its SCF*)."""
MOST_VIEWS = 10_000
"""Views that are counted at most, as in cryoSPARC."""
PROBE_ORDER = 3
"""HEALPix order of the axes that are probed."""
RADIUS = 20.0
"""Fourier radius at which sampling is looked at, pixels; the factor depends on it only weakly."""
FEWEST_A_PROBE = 50
"""Views that even sampling would put on an axis, at least: with fewer, chance alone looks uneven."""


@dataclass(frozen=True, slots=True)
class ViewSampling:
    """Sampling of Fourier space by views.

    Attributes
    ----------
    axes
        Unit vectors, one of each opposite pair, evenly spread.
    density
        Sampling of each, over its mean.
    factor
        Sampling compensation factor, in [0, 1].
    unsampled
        Part of the axes that no view samples.
    """

    axes: Float[Tensor, "m 3"]
    density: Float[Tensor, " m"]
    factor: float
    unsampled: float

    @property
    def biased(self) -> bool:
        """Whether the views are so unevenly spread that the map suffers."""
        return self.factor < BIASED


def view_sampling(
    rotations: Float[Tensor, "n 3 3"], group: Float[Tensor, "g 3 3"], generator: torch.Generator
) -> ViewSampling:
    """Sampling by N poses of a particle with the symmetry ``group``; of more than 10,000 a random part is taken."""
    if len(rotations) > MOST_VIEWS:
        chosen = torch.randperm(len(rotations), generator=generator, device=generator.device)[:MOST_VIEWS]
        rotations = rotations[chosen.to(rotations.device)]
    axes = hemisphere(PROBE_ORDER).to(rotations)
    views = len(rotations) * len(group)
    half_width = 0.5 / max(1.0, min(RADIUS, 0.5 * views / FEWEST_A_PROBE))
    counts = rotations.new_zeros(len(axes))
    for operator in group.to(rotations):
        counts += ((axes @ (rotations[:, 2] @ operator).mT).abs() < half_width).sum(1)
    sampled = counts > 0
    part = float(sampled.double().mean())
    # the mean over the whole sphere is known; near the axis of side views probes are too sparse to give it
    density = counts / (views * half_width)
    factor = part**2 / float((1 / density[sampled]).mean()) if sampled.any() else 0.0
    return ViewSampling(axes, density, min(factor, 1.0), 1 - part)
