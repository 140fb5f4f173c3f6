"""Densities of view directions that are even: the logarithm is a sum of harmonics of even degrees.

Moments up to the second do not tell a direction from its opposite, so odd degrees are not determined. The exponential
keeps densities positive; they live on the nodes of a rule, one of each opposite pair.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.geometry.harmonics import real_harmonics
from cryorbit.geometry.sphere_quadrature import LEBEDEV_DEGREES, lebedev


@dataclass(frozen=True, slots=True)
class ViewDensity:
    """A family of even densities on nodes; made by ``of``.

    Attributes
    ----------
    directions
        View directions, one of each opposite pair.
    log_weights
        Logarithms of the nodes' weights, which add up to 1.
    harmonics
        Harmonics of even degrees from 2 on, at the nodes.
    """

    directions: Float[Tensor, "q 3"]
    log_weights: Float[Tensor, " q"]
    harmonics: Float[Tensor, "q h"]

    @classmethod
    def of(cls, degree: int, exact_to: int) -> ViewDensity:
        """Log-densities of this even degree on a rule that is exact to a degree."""
        rule = lebedev(next(each for each in LEBEDEV_DEGREES if each >= exact_to))
        x, y, z = rule.directions.unbind(1)
        near = 1e-9
        upper = (z > near) | ((z.abs() <= near) & ((y > near) | ((y.abs() <= near) & (x > 0))))
        directions = rule.directions[upper]
        found = real_harmonics(directions, degree)
        even = [found[:, each**2 : (each + 1) ** 2] for each in range(2, degree + 1, 2)]
        harmonics = torch.cat(even, 1) if even else found[:, :0]
        return cls(directions, (2 * rule.weights[upper]).log(), harmonics)

    @property
    def size(self) -> int:
        """Number of coefficients; all zero is the uniform density."""
        return self.harmonics.shape[1]

    def weights(self, coefficients: Float[Tensor, " h"]) -> Float[Tensor, " q"]:
        """Density times weight at the nodes, of sum 1."""
        return (self.log_weights + self.harmonics @ coefficients).softmax(0)

    def values(self, coefficients: Float[Tensor, " h"]) -> Float[Tensor, " q"]:
        """Density at the nodes, relative to the uniform one."""
        return self.weights(coefficients) / self.log_weights.exp()
