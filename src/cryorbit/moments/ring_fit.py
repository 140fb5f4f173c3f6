"""A volume, a density of view directions and a spread of shifts from moments on rings: least squares in two levels.

The coarse level has few unknowns and is fitted from random starts, first with even views, then with any density; the
best fits go on at the fine level. Unknowns are in units of what they are expected to be, so that all are standard
normal before anything is seen. What comes out is known up to a rotation and the hand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.moments.determinacy import Determinacy, count_determined, derivatives
from cryorbit.moments.fit import Fit, fit_lbfgs
from cryorbit.moments.ring_model import RingModel
from cryorbit.moments.ring_moments import RingMoments, multiplicity, order_pairs
from cryorbit.moments.ring_prior import coefficient_sizes, ring_power
from cryorbit.moments.ring_sums import RingEstimate
from cryorbit.volumes.ball_bessel import ball_basis

MODEL_ERROR = 0.01
"""Error of the model, relative to the size of the waves of a product, beside the statistical error of the estimate.

The soft disc and the round CTFs make up 0.7 % each.
"""
NOISE_ERROR = 0.03
"""Error of the power of the noise: the background that it comes from holds some signal."""
HEADROOM = 1.25
"""Frequency up to which functions are taken, over the radius of the last ring: those beyond reach into the ring."""
COARSE = 0.85
"""Part of the rings that the coarse level uses."""
SEEN_ORDERS = 0.6
"""Part of the volume's degree up to which orders are compared: there is little in the highest degrees."""
DENSITY_SPREAD = 0.5
"""Standard deviation that the coefficients of the log-density have by prior knowledge."""
USUAL_ETA, ETA_SPREAD = 0.03, 0.7
"""Standard deviation of shifts that is expected, parts of the box, and that of its logarithm."""
PRIOR_WEIGHT = 10.0
"""How many times knowledge of density and shifts counts: misfits are many and not independent."""
TOLERANCE = 1e-6
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
    sizes
        Units of the unknowns: expected coefficients of the volume, those of the log-density, and the logarithm of the
        spread of shifts.
    box
        Side of the images, pixels.
    """

    model: RingModel
    estimate: RingEstimate
    scales: RingMoments
    sizes: Float[Tensor, " p"]
    box: int

    @classmethod
    def of(cls, model: RingModel, estimate: RingEstimate, radii: Float[Tensor, " k"], box: int) -> RingProblem:
        """The problem for an estimate, of which the orders and rings that the model has are used.

        ``radii`` are those of all rings of the estimate, Fourier pixels.
        """
        used = estimate.within(model.orders, len(model.slices.waves[0, 0]))
        volume = coefficient_sizes(model.basis, radii, ring_power(estimate))
        density = torch.full((model.density.size,), DENSITY_SPREAD).to(volume)
        return cls(model, used, _scales(used), torch.cat([volume, density, volume.new_tensor([ETA_SPREAD])]), box)

    def residuals(self, unknown: Float[Tensor, " p"]) -> Float[Tensor, " m"]:
        """Differences over their scales, each product counted once; then the unknowns, as they should be small."""
        volume, others = unknown.split([self.model.basis.size, self.model.density.size + 1])
        return torch.cat([self._misfits(unknown), volume, math.sqrt(PRIOR_WEIGHT) * others])

    def fit(self, start: Float[Tensor, " p"], steps: int) -> Fit:
        """The fit from a start."""
        return fit_lbfgs(self.residuals, start, steps, TOLERANCE)

    def fit_even(self, start: Float[Tensor, " p"], steps: int) -> Fit:
        """The fit of volume and shifts alone, the density as it is."""
        moves = torch.ones_like(start)
        moves[self.model.basis.size : -1] = 0.0
        fit = fit_lbfgs(lambda step: self.residuals(start + moves * step), torch.zeros_like(start), steps, TOLERANCE)
        return Fit(start + moves * fit.parameters, fit.cost, fit.evaluations)

    def start(self, generator: torch.Generator) -> Float[Tensor, " p"]:
        """A random volume of the power that the images have; even views and usual shifts."""
        unknown = torch.zeros_like(self.sizes)
        size = self.model.basis.size
        unknown[:size] = torch.randn(size, generator=generator, dtype=unknown.dtype)
        return unknown

    def from_coarse(self, coarse: RingProblem, unknown: Float[Tensor, " coarse"]) -> Float[Tensor, " p"]:
        """A solution of a coarser problem as the start of this one."""
        solution = coarse.read(unknown)
        return self.unknown(replace(solution, volume=coarse.model.basis.carry(solution.volume, self.model.basis)))

    def read(self, unknown: Float[Tensor, " coarse"]) -> RingSolution:
        """An unknown, taken apart."""
        volume, density, log_eta = self._split(unknown)
        return RingSolution(volume, density, float(log_eta.exp()))

    def unknown(self, solution: RingSolution) -> Float[Tensor, " p"]:
        """The unknown of a solution."""
        log_eta = solution.volume.new_tensor([math.log(solution.eta) - self._usual_log_eta])
        return torch.cat([solution.volume, solution.density, log_eta]) / self.sizes

    def misfit(self, unknown: Float[Tensor, " p"]) -> float:
        """Root mean square difference, in standard errors (those of model and noise included)."""
        return float(self._misfits(unknown).square().mean().sqrt())

    def determinacy(self, unknown: Float[Tensor, " p"]) -> Determinacy:
        """How many combinations of the volume's coefficients the moments determine at a solution."""
        jacobian, coefficients = derivatives(self._misfits, unknown), self.model.basis.size
        third = 2 * self.estimate.products.third.numel()
        counts = (count_determined(rows, coefficients, PRIOR_WEIGHT) for rows in (jacobian, jacobian[:-third]))
        return Determinacy(coefficients, *counts)

    def _split(self, unknown: Float[Tensor, " p"]) -> tuple[Tensor, Tensor, Tensor]:
        sizes = [self.model.basis.size, self.model.density.size, 1]
        volume, density, log_eta = (self.sizes * unknown).split(sizes)
        return volume, density, log_eta[0] + self._usual_log_eta

    def _misfits(self, unknown: Float[Tensor, " p"]) -> Float[Tensor, " m"]:
        volume, density, log_eta = self._split(unknown)
        predicted = self.estimate.weights.of(self.model.moments(volume, density, log_eta.exp()))
        measured, scales = self.estimate.products, self.scales
        second = (predicted.second - measured.second) / scales.second
        third = (predicted.third - measured.third) / scales.third
        parts = [(predicted.first - measured.first) / scales.first]
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
    coarse, fine = (_problem(estimate, radii, count, box, extent, density_degree) for count in rings)
    return coarse, fine


def volume_degree(last_ring: float, extent: float) -> int:
    """Degree of the volume that rings up to this radius (Fourier pixels) are compared with."""
    return ball_basis(HEADROOM * last_ring, extent).degree


def seen_orders(degree: int) -> int:
    """Largest order that is compared for a volume of this degree."""
    return max(1, round(SEEN_ORDERS * degree))


def _problem(
    estimate: RingEstimate, radii: Float[Tensor, " k"], rings: int, box: int, extent: float, density_degree: int
) -> RingProblem:
    """The problem on the first rings."""
    basis = ball_basis(HEADROOM * float(radii[rings - 1]), extent)
    model = RingModel.of(basis, radii[:rings], box, density_degree, seen_orders(basis.degree))
    return RingProblem.of(model, estimate, radii, box)


def _scales(estimate: RingEstimate) -> RingMoments:
    """Errors of statistics, model and noise; a complex entry's are shared by its two parts and by its copies."""
    pairs = order_pairs(len(estimate.products.second) - 1)
    a, b = pairs.unbind(1)
    size = estimate.products.second.real.diagonal(dim1=1, dim2=2).clamp_min(0).sqrt()
    second = size[:, :, None] * size[:, None, :]
    third = size[a, :, None, None] * size[b, None, :, None] * size[a + b, None, None, :]
    copies = torch.full((len(size),), 1.0).to(size)
    copies[0] = 2.0
    errors, noise = estimate.errors, estimate.noise
    return RingMoments(
        _together(errors.first, estimate.products.first, noise.first),
        _together(errors.second, second, noise.second) * copies.sqrt()[:, None, None],
        _together(errors.third, third, noise.third) * (multiplicity(pairs).to(size) / 2).sqrt()[:, None, None, None],
    )


def _together(statistical: Tensor, size: Tensor, noise: Tensor) -> Tensor:
    """All errors of an entry of this size, from which this much noise was taken off."""
    return (statistical.square() + (MODEL_ERROR * size).square() + (NOISE_ERROR * noise.abs()).square()).sqrt()
