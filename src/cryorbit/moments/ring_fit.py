"""A volume, a density of view directions and a spread of shifts from moments on rings: least squares in two levels.

The coarse level has few unknowns and is fitted from random starts, first with even views, then with any density; the
best fits go on at the fine level. What comes out is known up to a rotation and the hand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.moments.fit import Fit, fit_lbfgs
from cryorbit.moments.ring_model import RingModel
from cryorbit.moments.ring_moments import RingMoments, multiplicity, order_pairs
from cryorbit.moments.ring_sums import RingEstimate
from cryorbit.volumes.ball_bessel import ball_basis

MODEL_ERROR = 0.03
"""Error of the model, relative to the size of the waves of a product, beside the statistical error of the estimate.

Pixels' deviations, the soft disc and round CTFs leave errors of this size in simulated sets.
"""
HEADROOM = 1.18
"""Frequency up to which functions are taken, over the radius of the last ring."""
COARSE = 0.7
"""Part of the rings that the coarse level uses."""
SEEN_ORDERS = 0.7
"""Part of the volume's degree up to which orders are compared: shifts bring others in from beyond the degree."""
DENSITY_SPREAD = 0.3
"""Standard deviation that the coefficients of the log-density have by prior knowledge."""
USUAL_ETA, ETA_SPREAD = 0.03, 0.7
"""Standard deviation of shifts that is expected, parts of the box, and that of its logarithm."""
PRIOR_WEIGHT = 50.0
"""How many times that knowledge counts: misfits are many and not independent."""
TOLERANCE = 1e-7
"""Relative fall of the cost in a step at which a fit ends."""


@dataclass(frozen=True, slots=True)
class RingSolution:
    """Coefficients of a volume and of a log-density, and the spread of shifts in pixels."""

    volume: Float[Tensor, " b"]
    density: Float[Tensor, " h"]
    eta: float


@dataclass(frozen=True, slots=True)
class RingProblem:
    """Which moments are to be matched, with which model; made by ``of``.

    Attributes
    ----------
    model
        Moments of volume, density and shifts.
    estimate
        What was measured.
    scales
        What differences are divided by.
    box
        Side of the images, pixels.
    """

    model: RingModel
    estimate: RingEstimate
    scales: RingMoments
    box: int

    @classmethod
    def of(cls, model: RingModel, estimate: RingEstimate, box: int) -> RingProblem:
        """The problem for an estimate, of which the orders and rings that the model has are used."""
        used = estimate.within(model.orders, len(model.slices.waves[0, 0]))
        return cls(model, used, _scales(used), box)

    def residuals(self, unknown: Float[Tensor, " p"]) -> Float[Tensor, " m"]:
        """Differences over their scales, each product counted once; then those of density and shifts from the usual."""
        volume, density, log_eta = self._split(unknown)
        known = torch.cat([density / DENSITY_SPREAD, (log_eta[None] - self._usual_log_eta) / ETA_SPREAD])
        return torch.cat([self._misfits(volume, density, log_eta.exp()), math.sqrt(PRIOR_WEIGHT) * known])

    def fit(self, start: Float[Tensor, " p"], steps: int) -> Fit:
        """The fit from a start."""
        return fit_lbfgs(self.residuals, start, steps, TOLERANCE)

    def fit_even(self, start: Float[Tensor, " p"], steps: int) -> Fit:
        """The fit of volume and shifts alone, the density as it is."""
        moves = torch.ones_like(start)
        volume, density, _ = start.split(self._sizes)
        moves[len(volume) : len(volume) + len(density)] = 0.0
        found = fit_lbfgs(lambda step: self.residuals(start + moves * step), torch.zeros_like(start), steps, TOLERANCE)
        return Fit(start + moves * found.parameters, found.cost, found.evaluations)

    def start(self, generator: torch.Generator) -> Float[Tensor, " p"]:
        """Random coefficients whose second moment has the size of the estimate; even views."""
        volume = torch.randn(self.model.basis.size, generator=generator, dtype=torch.float64)
        density, eta = torch.zeros(self.model.density.size).double(), torch.tensor(USUAL_ETA * self.box).double()
        seen = self.estimate.weights.of(self.model.moments(volume, density, eta)).second.norm()
        size = (self.estimate.products.second.norm() / seen).sqrt()
        return torch.cat([size * volume, density, eta.log()[None]])

    def from_coarse(self, coarse: RingProblem, unknown: Float[Tensor, " p"]) -> Float[Tensor, " p"]:
        """A solution of a coarser problem as the start of this one."""
        volume, density, log_eta = coarse._split(unknown)
        carried = coarse.model.basis.carry(volume, self.model.basis)
        return torch.cat([carried, density, log_eta[None]])

    def read(self, unknown: Float[Tensor, " p"]) -> RingSolution:
        """An unknown, taken apart."""
        volume, density, log_eta = self._split(unknown)
        return RingSolution(volume, density, float(log_eta.exp()))

    def misfit(self, unknown: Float[Tensor, " p"]) -> float:
        """Root mean square difference, in standard errors (those of the model included)."""
        volume, density, log_eta = self._split(unknown)
        return float(self._misfits(volume, density, log_eta.exp()).square().mean().sqrt())

    def sizes(self, unknown: Float[Tensor, " p"]) -> Float[Tensor, " p"]:
        """A change that matters in each unknown: the mean size of a coefficient; 1 in log-density and log-spread."""
        volume, _, _ = self._split(unknown)
        found = torch.ones_like(unknown)
        found[: len(volume)] = volume.square().mean().sqrt()
        return found

    @property
    def _sizes(self) -> list[int]:
        return [self.model.basis.size, self.model.density.size, 1]

    def _split(self, unknown: Float[Tensor, " p"]) -> tuple[Tensor, Tensor, Tensor]:
        volume, density, log_eta = unknown.split(self._sizes)
        return volume, density, log_eta[0]

    def _misfits(self, volume: Tensor, density: Tensor, eta: Tensor) -> Float[Tensor, " m"]:
        found = self.estimate.weights.of(self.model.moments(volume, density, eta))
        given, scales = self.estimate.products, self.scales
        second, third = (found.second - given.second) / scales.second, (found.third - given.third) / scales.third
        parts = [(found.first - given.first) / scales.first]
        parts += [part.flatten() for each in (second, third) for part in (each.real, each.imag)]
        return torch.cat(parts)

    @property
    def _usual_log_eta(self) -> float:
        return math.log(USUAL_ETA * self.box)


def two_levels(
    estimate: RingEstimate, radii: Float[Tensor, " k"], box: int, extent: float, density_degree: int
) -> tuple[RingProblem, RingProblem]:
    """The coarse and the fine problem of a particle in a ball of radius ``extent`` (units of the box)."""
    rings = (max(2, round(COARSE * len(radii))), len(radii))
    coarse, fine = (_problem(estimate, radii[:count], box, extent, density_degree) for count in rings)
    return coarse, fine


def volume_degree(last_ring: float, extent: float) -> int:
    """Degree of the volume that rings up to this radius (Fourier pixels) are compared with."""
    return ball_basis(HEADROOM * last_ring, extent).degree


def seen_orders(degree: int) -> int:
    """Largest order that is compared for a volume of this degree."""
    return max(1, round(SEEN_ORDERS * degree))


def _problem(
    estimate: RingEstimate, radii: Float[Tensor, " k"], box: int, extent: float, density_degree: int
) -> RingProblem:
    basis = ball_basis(HEADROOM * float(radii[-1]), extent)
    model = RingModel.of(basis, radii, box, density_degree, seen_orders(basis.degree))
    return RingProblem.of(model, estimate, box)


def _scales(estimate: RingEstimate) -> RingMoments:
    """Statistical errors and those of the model; a complex entry's are shared by its two parts and by its copies."""
    pairs = order_pairs(len(estimate.products.second) - 1)
    a, b = pairs.unbind(1)
    size = estimate.products.second.real.diagonal(dim1=1, dim2=2).clamp_min(0).sqrt()
    second = size[:, :, None] * size[:, None, :]
    third = size[a, :, None, None] * size[b, None, :, None] * size[a + b, None, None, :]
    copies = torch.full((len(size),), 1.0).to(size)
    copies[0] = 2.0
    return RingMoments(
        torch.hypot(estimate.errors.first, MODEL_ERROR * estimate.products.first),
        torch.hypot(estimate.errors.second, MODEL_ERROR * second) * copies.sqrt()[:, None, None],
        torch.hypot(estimate.errors.third, MODEL_ERROR * third)
        * (multiplicity(pairs).to(size) / 2).sqrt()[:, None, None, None],
    )
