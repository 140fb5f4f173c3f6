"""Which rings of the images' transforms are used, and how large a ball the volume fills."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.moments.ring_fit import seen_orders, volume_degree
from cryorbit.moments.rings import Rings
from cryorbit.recipes.dataset import Dataset

LOGGER = logging.getLogger(__name__)
RESOLUTION = 30.0
FINEST_PARTS = 4.2
"""Parts of the diameter that are told apart at most: cost grows with a high power of them."""
MARGIN = 1.3
"""Radius of the ball that the volume fills, over that of the particle."""
SEEN_AROUND = 0.14
"""Width around the particle that is looked at too, parts of the box: shifts and CTFs carry signal there."""


@dataclass(frozen=True, slots=True)
class RingPlan:
    """What is looked at in the images; made by ``of``.

    Attributes
    ----------
    rings
        The waves.
    extent
        Radius of the ball that the volume fills, units of the box.
    noise
        Covariances of the noise.
    """

    rings: Rings
    extent: float
    noise: Float[Tensor, "n k k"]

    @classmethod
    def of(cls, dataset: Dataset, resolution: float | None) -> RingPlan:
        """Rings up to the resolution, A, as close as the width of what is looked at asks for."""
        finest = max(RESOLUTION, dataset.diameter / FINEST_PARTS) if resolution is None else resolution
        last = min(dataset.extent / finest, 0.5 * dataset.box - 1)
        seen = min(0.5 * dataset.diameter_px + SEEN_AROUND * dataset.box, 0.5 * dataset.box - 1)
        count = max(3, math.ceil(2 * seen / dataset.box * last) + 1)
        device = dataset.source.device
        radii = (torch.arange(count, dtype=torch.float64, device=device) + 0.5) * (last / count)
        extent = min(0.5, 0.5 * MARGIN * dataset.diameter / dataset.extent)
        rings = Rings.of(dataset.box, radii, seen_orders(volume_degree(float(radii[-1]), extent)), seen)
        LOGGER.info("%d rings up to %.0f Å, orders up to %d.", count, finest, rings.orders)
        return cls(rings, extent, rings.noise(dataset.noise_variance))
