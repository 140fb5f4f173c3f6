"""Quadratures on SO(3): a rule on the sphere of view directions times equispaced in-plane angles.

With a sphere rule of degree ``t`` and ``q`` angles, every Wigner function of degree at most ``min(t, q - 1)`` has
its exact mean over SO(3).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.geometry.rotations import euler_to_matrix
from cryorbit.geometry.sphere_quadrature import SphereRule


@dataclass(frozen=True, slots=True)
class RotationRule:
    """Rotations and weights of a quadrature for means over SO(3).

    Attributes
    ----------
    rotations
        In RELION's convention, float64; the in-plane angle runs fastest.
    weights
        Positive, of sum 1, float64.
    degree
        Largest degree of the Wigner functions that are integrated exactly.
    """

    rotations: Float[Tensor, "r 3 3"]
    weights: Float[Tensor, " r"]
    degree: int

    def __len__(self) -> int:
        """Number of rotations."""
        return len(self.weights)


def product_rule(sphere: SphereRule, in_plane: int | None = None) -> RotationRule:
    """The product of a sphere rule and ``in_plane`` equispaced angles (default: ``sphere.degree + 1``)."""
    count = sphere.degree + 1 if in_plane is None else in_plane
    x, y, z = sphere.directions.unbind(-1)
    rot = torch.rad2deg(torch.atan2(y, x)).repeat_interleave(count)
    tilt = torch.rad2deg(torch.atan2(torch.hypot(x, y), z)).repeat_interleave(count)
    psi = (torch.arange(count, dtype=torch.float64) * (360.0 / count)).repeat(len(sphere))
    return RotationRule(
        euler_to_matrix(torch.stack([rot, tilt, psi], -1)),
        sphere.weights.repeat_interleave(count) / count,
        min(sphere.degree, count - 1),
    )
