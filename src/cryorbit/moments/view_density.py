"""Densities of view directions whose logarithm is a sum of spherical harmonics, on the nodes of a quadrature.

The exponential keeps densities positive.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from cryorbit.geometry.harmonics import real_harmonics
from cryorbit.geometry.sphere_quadrature import LEBEDEV_DEGREES, lebedev


@dataclass(frozen=True, slots=True)
class ViewDensity:
    """A family of densities on nodes; made by ``of``.

    Attributes
    ----------
    directions
        View directions.
    log_weights
        Logarithms of the nodes' weights, which add up to 1.
    harmonics
        Harmonics of degree 1 and more, at the nodes.
    """

    directions: Float[Tensor, "q 3"]
    log_weights: Float[Tensor, " q"]
    harmonics: Float[Tensor, "q h"]

    @classmethod
    def of(cls, degree: int, exact_to: int) -> ViewDensity:
        """Log-densities of this degree on a rule that is exact to another."""
        rule = lebedev(next(each for each in LEBEDEV_DEGREES if each >= exact_to))
        return cls(rule.directions, rule.weights.log(), real_harmonics(rule.directions, degree)[:, 1:])

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
