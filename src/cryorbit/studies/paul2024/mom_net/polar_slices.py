"""Slices of any volume whose transform can be evaluated, on polar grids, and their moments at uniform in-plane angles.

Nodes of the quadrature over view directions come in opposite pairs, whose slices are mirror images of each other; one
of each pair is evaluated. A slice is Hermitian, so half a turn of angles is enough: real parts hold the even orders,
imaginary parts the odd ones. Both halve what has to be evaluated, and neither is an approximation.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.geometry.rotations import euler_to_matrix
from cryorbit.geometry.sphere_quadrature import SphereRule
from cryorbit.moments.polar import PolarMoments, component_moments

SAME = 1e-9
"""Distance of two unit vectors below which they are the same."""


@dataclass(frozen=True, slots=True)
class PolarSlices:
    """Where slices are evaluated, and how values become angular components; made by ``of``.

    Attributes
    ----------
    directions
        Nodes on the sphere: Q that are evaluated, then their opposites.
    log_weights
        Logarithms of the nodes' weights, of sum 1, in the same order.
    points
        Frequencies ``(x, y, z)`` of the slices, Fourier pixels: by node, angle and radius.
    radii
        Of the grid, Fourier pixels.
    analysis
        From real parts, then imaginary parts, at the angles to components: order 0, then cosine and sine of each.
    """

    directions: Float[Tensor, "t 3"]
    log_weights: Float[Tensor, " t"]
    points: Float[Tensor, "q a k 3"]
    radii: Float[Tensor, " k"]
    analysis: Float[Tensor, "2 a w"]

    @classmethod
    def of(cls, rule: SphereRule, radii: Float[Tensor, " k"], orders: int) -> PolarSlices:
        """The grid for orders up to ``orders``, on the nodes of an antipodal rule.

        Raises
        ------
        InputError
            The nodes do not come in opposite pairs of equal weight.
        """
        half = _one_of_each_pair(rule)
        directions, weights = rule.directions[half], rule.weights[half]
        angles = torch.arange(orders + 2, dtype=torch.float64) * (torch.pi / (orders + 2))
        plane = torch.stack([angles.cos(), angles.sin(), torch.zeros_like(angles)], -1)
        x, y, z = directions.unbind(-1)
        tilted = torch.stack([torch.atan2(y, x), torch.atan2(torch.hypot(x, y), z), torch.zeros_like(x)], -1)
        lines = plane @ euler_to_matrix(torch.rad2deg(tilted))
        return cls(
            torch.cat([directions, -directions]).to(radii),
            torch.cat([weights, weights]).log().to(radii),
            lines.to(radii)[:, :, None] * radii[:, None],
            radii,
            _analysis(angles, orders).to(radii),
        )

    @property
    def orders(self) -> int:
        """Largest angular order."""
        return self.analysis.shape[-1] // 2

    def components(self, values: Complex[Tensor, "*b q a k"]) -> Float[Tensor, "*b q w k"]:
        """Angular components of slices from their values at the points."""
        real, imaginary = self.analysis
        parts = [torch.einsum("...qak,aw->...qwk", *each) for each in ((values.real, real), (values.imag, imaginary))]
        return parts[0] + parts[1]

    def moments(self, components: Float[Tensor, "*b q w k"], weights: Float[Tensor, "*b t"]) -> PolarMoments:
        """Moments under weights of all nodes, which add up to 1."""
        seen, opposite = weights.chunk(2, -1)
        return component_moments(components, seen + opposite, seen - opposite)


def _one_of_each_pair(rule: SphereRule) -> Tensor:
    """Which nodes are evaluated: those of each pair that come first."""
    apart = (rule.directions[:, None] + rule.directions).norm(dim=-1)
    distance, partner = apart.min(1)
    if float(distance.max()) > SAME or not torch.allclose(rule.weights, rule.weights[partner]):
        raise InputError("the nodes do not come in opposite pairs", fix="take a Lebedev rule or an antipodal design")
    return torch.arange(len(rule)) < partner


def _analysis(angles: Float[Tensor, " a"], orders: int) -> Float[Tensor, "2 a w"]:
    """The linear map of ``PolarSlices.analysis``: means over half a turn of values times waves of one parity."""
    matrix = torch.zeros(2, len(angles), 2 * orders + 1, dtype=angles.dtype)
    for order in range(orders + 1):
        for number, wave in enumerate((torch.cos, torch.sin)):
            if order or not number:
                column = 2 * order - 1 + number if order else 0
                matrix[order % 2, :, column] = (2 if order else 1) * wave(order * angles) / len(angles)
    return matrix
