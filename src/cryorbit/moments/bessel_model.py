"""Moments of a volume in the spherical Bessel basis, seen from directions of some density at uniform in-plane angles.

A turned volume's slice has, at radius k, the angular functions ``cos n phi`` and ``sin n phi`` times sums of radial
functions, so that the mean over in-plane angles is taken exactly and a quadrature is needed over view directions only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.geometry.harmonics import turning_matrices
from cryorbit.geometry.rotations import euler_to_matrix
from cryorbit.moments.polar import PolarMoments, component_moments
from cryorbit.moments.view_density import ViewDensity
from cryorbit.volumes.spherical_bessel import SphericalBessel


@dataclass(frozen=True, slots=True)
class BesselModel:
    """Moments as a function of volume and density; made by ``of``.

    Attributes
    ----------
    basis
        Of the volume.
    density
        Family of densities.
    turns
        Turning matrices of the nodes' directions, a tensor a degree.
    waves
        From coefficients to the radii: order 0, then cosine and sine of each order.
    """

    basis: SphericalBessel
    density: ViewDensity
    turns: tuple[Float[Tensor, "q _m _m"], ...]
    waves: Float[Tensor, "b w k"]

    @classmethod
    def of(cls, basis: SphericalBessel, density: ViewDensity, radii: Float[Tensor, " k"]) -> BesselModel:
        """The model on radii, Fourier pixels."""
        count = 2 * basis.degree + 2
        angles = torch.arange(count).to(radii) * (2 * torch.pi / count)
        plane = torch.stack([angles.cos(), angles.sin(), torch.zeros_like(angles)], -1)
        functions = basis.functions((radii[:, None, None] * plane).flatten(0, 1)).unflatten(1, (len(radii), count))
        parts = [functions.mean(2)]
        for order in range(1, basis.degree + 1):
            parts += [2 * (functions * wave(order * angles)).mean(2) for wave in (torch.cos, torch.sin)]
        x, y, z = density.directions.unbind(1)
        polar = torch.stack([torch.atan2(y, x), torch.atan2(torch.hypot(x, y), z), torch.zeros_like(x)], -1)
        turns = turning_matrices(euler_to_matrix(torch.rad2deg(polar)), basis.degree)
        return cls(basis, density, tuple(each.to(radii) for each in turns), torch.stack(parts, 1))

    def slices(self, coefficients: Float[Tensor, " b"]) -> Float[Tensor, "q w k"]:
        """Angular components of the slices from every node."""
        turned = self.basis.turn(coefficients, self.turns)
        return torch.einsum("qb,bwk->qwk", turned, self.waves)

    def moments(self, coefficients: Float[Tensor, " b"], weights: Float[Tensor, " q"]) -> PolarMoments:
        """Moments under the weights of the nodes."""
        return component_moments(self.slices(coefficients), weights, weights)
