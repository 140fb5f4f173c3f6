"""Axes spread evenly over the sphere: one of each pair of opposite directions."""

from __future__ import annotations

import healpix
import torch
from jaxtyping import Float
from torch import Tensor


def hemisphere(order: int) -> Float[Tensor, "m 3"]:
    """Unit vectors ``(x, y, z)`` of the 6 * 4^order axes of the HEALPix grid of this order, float64.

    Each stands for the same solid angle; neighbours are about 59 / 2^order degrees apart.
    """
    nside = 2**order
    polar, azimuth = (torch.as_tensor(angle) for angle in healpix.pix2ang(nside, range(12 * nside**2)))
    z = polar.cos()
    upper = (z > 1e-9) | ((z.abs() <= 1e-9) & (azimuth % (2 * torch.pi) < torch.pi - 1e-9))
    directions = torch.stack([polar.sin() * azimuth.cos(), polar.sin() * azimuth.sin(), z], -1)
    return directions[upper]
