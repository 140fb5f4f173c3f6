"""Grids of in-plane shifts, in pixels."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def disc_grid(extent: float, step: float) -> Float[Tensor, "t 2"]:
    """Square lattice points of spacing ``step`` within ``extent`` of the origin, the origin first, float64."""
    reach = int(extent / step + 1e-9)
    axis = torch.arange(-reach, reach + 1, dtype=torch.float64) * step
    points = torch.cartesian_prod(axis, axis)
    inside = points[points.norm(dim=-1) <= extent + 1e-9]
    return inside[inside.norm(dim=-1).argsort(stable=True)]
