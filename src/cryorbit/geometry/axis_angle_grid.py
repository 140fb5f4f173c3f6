"""A Cartesian grid of rotation vectors: the first grid of the published branch-and-bound search.

Its cells are not of equal volume: the Haar density at a rotation by an angle ``a`` is ``2 (1 - cos a) / a^2`` of that
at the identity, so they shrink towards half a turn. A search for one best pose does not mind; a quadrature would.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cryorbit.geometry.rotations import rotvec_to_matrix

SAME_ROTATION = 1e-9
"""How far the overlap of two unit quaternions may be from one if they are the same rotation."""


def axis_angle_grid(spacing: float) -> Float[Tensor, "r 3 3"]:
    """Rotations whose vectors lie on a grid of ``spacing`` degrees, the identity first, float64.

    Points up to half a cell's diagonal beyond half a turn are taken as well, as their cells reach inside. Two points
    that are the same rotation are taken once.
    """
    step = math.radians(spacing)
    longest = math.pi + step * math.sqrt(3) / 2
    reach = int(longest / step)
    axis = step * torch.arange(-reach, reach + 1, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis, axis)
    points = points[points.norm(dim=1) <= longest + 1e-9]
    points = points[points.norm(dim=1).argsort(stable=True)]
    return rotvec_to_matrix(points[_first_of_its_kind(points)])


def _first_of_its_kind(rotvec: Float[Tensor, "n 3"]) -> Tensor:
    """Indices of vectors that are not the rotation of an earlier one: their unit quaternions differ, signs aside."""
    length = rotvec.norm(dim=1)
    # two vectors of one rotation have opposite directions, and lengths that add up to a turn
    far = torch.nonzero(length >= 2 * math.pi - length.max() - 1e-9)[:, 0]
    repeated = torch.zeros_like(length, dtype=torch.bool)
    repeated[far] = _repeats(rotvec[far])
    return torch.nonzero(~repeated)[:, 0]


def _repeats(rotvec: Float[Tensor, "n 3"]) -> Bool[Tensor, " n"]:
    """Whether each vector is the rotation of an earlier one."""
    half = rotvec.norm(dim=1, keepdim=True) / 2
    quaternion = torch.cat([half.cos(), rotvec / 2 * torch.sinc(half / math.pi)], 1)
    overlap = (quaternion @ quaternion.mT).abs()
    return torch.tril(overlap > 1 - SAME_ROTATION, diagonal=-1).any(1)
