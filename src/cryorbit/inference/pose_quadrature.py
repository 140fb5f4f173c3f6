"""Quadratures over poses whose number of nodes follows from the finest detail that is scored.

Lebedev directions, times equispaced in-plane angles, times a lattice of shifts under a truncated normal density
(Punjani & Brubaker 2014, equations 3 and 4). The angular step is the one that moves a coefficient at the Fourier
radius R by one Fourier pixel, ``a = arctan(1 / R)``; it takes ``(3.6 / a)^2`` directions and ``2 pi / a`` angles
(Brubaker, Punjani & Fleet 2015). Shifts are a quarter of the finest wavelength apart, so that phases are off by 45
degrees at most along an axis.

In-plane angles are even in number and only half of them are listed: a slice turned by half a turn in its plane is the
complex conjugate of itself, which halves all the work (``inference.full_marginal``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.geometry.shift_grid import disc_grid
from cryorbit.geometry.so3_quadrature import product_rule
from cryorbit.geometry.sphere_quadrature import LEBEDEV_DEGREES, SphereRule, lebedev

DIRECTION_DENSITY = 3.6
"""Directions on the sphere are ``(DIRECTION_DENSITY / step)^2``."""
TRUNCATION = 2.5
"""Largest shift in standard deviations, where it is not given."""


@dataclass(frozen=True, slots=True)
class PoseQuadrature:
    """Nodes and weights for means over poses; the weights of all nodes, half turns included, add up to one.

    Attributes
    ----------
    rotations
        In-plane angles of the first half turn, fastest; each rotation stands for itself and for its half turn too.
    log_weight
        Logarithm of the weight of each rotation, and again of its half turn.
    shifts
        ``(x, y)`` in pixels, as in ``core.conventions``.
    log_shift_weight
        Logarithm of the weight of each shift.
    directions
        Number of view directions.
    """

    rotations: Float[Tensor, "g 3 3"]
    log_weight: Float[Tensor, " g"]
    shifts: Float[Tensor, "t 2"]
    log_shift_weight: Float[Tensor, " t"]
    directions: int

    @property
    def count(self) -> int:
        """Number of nodes."""
        return 2 * len(self.rotations) * len(self.shifts)

    def to(self, like: Tensor) -> PoseQuadrature:
        """The same quadrature on the device and in the precision of ``like``."""
        real = like.real
        return PoseQuadrature(
            self.rotations.to(real),
            self.log_weight.to(real),
            self.shifts.to(real),
            self.log_shift_weight.to(real),
            self.directions,
        )


@dataclass(frozen=True, slots=True)
class ShiftPrior:
    """A normal density of shifts, cut at a largest length.

    Attributes
    ----------
    sigma
        Standard deviation along each axis, pixels; 0 for centred particles.
    reach
        Largest shift, pixels; None for ``TRUNCATION`` standard deviations.
    """

    sigma: float = 0.0
    reach: float | None = None

    def nodes(self, step: float) -> tuple[Float[Tensor, "t 2"], Float[Tensor, " t"]]:
        """Lattice points at most ``step`` apart, and the logarithms of their weights."""
        if self.sigma == 0:
            return torch.zeros(1, 2, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        reach = TRUNCATION * self.sigma if self.reach is None else self.reach
        # a step beyond the reach would leave the centre alone
        points = disc_grid(reach, min(step, reach))
        return points, (-0.5 * points.square().sum(1) / self.sigma**2).log_softmax(0)


def angular_step(radius: float) -> float:
    """The angle, radians, that moves a coefficient at ``radius`` Fourier pixels by one of them: ``arctan(1 / R)``."""
    return math.atan(1 / radius)


def pose_quadrature(
    radius: float, box: int, shift: ShiftPrior | None = None, undersampling: float = 1.0
) -> PoseQuadrature:
    """The quadrature for coefficients up to ``radius`` Fourier pixels of a box of ``box`` pixels, float64.

    Parameters
    ----------
    radius
        Largest Fourier radius that is scored.
    box
        Side of the images, pixels, that shifts refer to.
    shift
        Density of shifts; None for none.
    undersampling
        Factor on the angular step and on the step of shifts; above 1 the sum is coarser and cheaper.

    Raises
    ------
    InputError
        There is no Lebedev rule with so many directions.
    """
    step = undersampling * angular_step(radius)
    sphere = _sphere_rule(math.ceil((DIRECTION_DENSITY / step) ** 2))
    half = math.ceil(math.pi / step)
    rule = product_rule(sphere, 2 * half)
    first = rule.rotations.unflatten(0, (len(sphere), 2 * half))[:, :half].flatten(0, 1)
    weight = rule.weights.unflatten(0, (len(sphere), 2 * half))[:, :half].flatten()
    shifts, log_shift = (shift or ShiftPrior()).nodes(undersampling * box / (4 * radius))
    return PoseQuadrature(first, weight.log(), shifts, log_shift, len(sphere))


def _sphere_rule(least: int) -> SphereRule:
    """The smallest Lebedev rule of positive weights with at least ``least`` directions."""
    # rules of degree t have about (t + 1)^2 / 3 points: those far too small need not be made
    for degree in LEBEDEV_DEGREES:
        if (degree + 4) ** 2 / 3 > least and len(rule := lebedev(degree)) >= least:
            return rule
    raise InputError(
        f"no Lebedev rule has {least:,} directions", fix="score a coarser resolution, or undersample the quadrature"
    )
