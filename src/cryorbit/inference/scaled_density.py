"""The unknown of an optimiser and what its density looks like: a scaled density, its slices at all poses, its prior.

The unknown is a real tensor ``x [1 n n n]``: the density on the smallest grid that holds the Fourier radius, divided
by a scale that makes the largest curvature of the data one. So steps of length one are safe, whatever the data, and
``x`` is of the size of its own signal-to-noise ratio.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.fourier.interpolation import join_mates
from cryorbit.imaging.observations import Observations
from cryorbit.imaging.shifts import shift_phases
from cryorbit.imaging.slices import SliceOperator
from cryorbit.inference.full_marginal import Nodes
from cryorbit.inference.marginal import SliceStatistics
from cryorbit.inference.pose_quadrature import PoseQuadrature
from cryorbit.inference.priors import DensityPrior
from cryorbit.volumes.model import solve

POWER_ITERATIONS = 30
"""Iterations that find the largest curvature."""
SAFETY = 1.05
"""Power iterations end below the largest eigenvalue; by how much at most, in practice."""
EMPTY = 1e-3
"""Weight, as a part of the mean, that an M-step adds: frequencies no slice has met stay at zero."""


@dataclass(frozen=True, slots=True)
class ScaledDensity:
    """How an unknown becomes a density, and the density slices.

    Attributes
    ----------
    operator
        Slices at the rotations of the quadrature.
    quadrature
        The poses summed over.
    prior
        Of the density.
    scale
        Density over unknown.
    terms
        Images K that share one prior.
    """

    operator: SliceOperator
    quadrature: PoseQuadrature
    prior: DensityPrior
    scale: float
    terms: int

    def density(self, x: Float[Tensor, "1 n n n"]) -> Float[Tensor, "n n n"]:
        """The density on the working grid."""
        return self.scale * x[0]

    def unknown(self, density: Float[Tensor, "n n n"]) -> Float[Tensor, "1 n n n"]:
        """The unknown of a density on the working grid."""
        return density[None].to(self.operator.rotations) / self.scale

    def nodes(self, x: Float[Tensor, "1 n n n"]) -> Nodes:
        """Slices of the density at all rotations."""
        slices = self.operator.project(self.density(x))
        return Nodes(slices, self.phases(slices), self.quadrature.log_weight, self.quadrature.log_shift_weight)

    def phases(self, like: Complex[Tensor, "..."]) -> Complex[Tensor, "t p"]:
        """Phases of the shifts of the quadrature, in the precision of ``like``."""
        return shift_phases(self.quadrature.shifts, self.operator.disc).to(like)

    def backproject(self, slices: Complex[Tensor, "g p"]) -> Float[Tensor, "1 n n n"]:
        """Adjoint of the slices of the unknown; rotations that no image takes are left out."""
        live = torch.nonzero((slices != 0).any(1))[:, 0]
        part = SliceOperator(self.operator.grid, self.operator.disc, self.operator.rotations[live])
        return part.backproject(slices[live])[None] * self.scale

    def insert(self, statistics: SliceStatistics) -> Float[Tensor, "3 q q h"]:
        """D and W on slices inserted into the padded Fourier grid: real part, imaginary part, weight."""
        operator, live = self.operator, torch.nonzero((statistics.weight > 0).any(1))[:, 0]
        rotations = operator.rotations[live]
        frequencies = operator.disc.frequencies
        data, weight = operator.grid.insert(statistics.data[live], statistics.weight[live], rotations, frequencies)
        return torch.stack([data.real, data.imag, weight])

    def solve(self, statistics: Float[Tensor, "3 q q h"]) -> Float[Tensor, "1 n n n"]:
        """The unknown whose density is D / W on the Fourier grid, without a prior."""
        data, weight = join_mates(torch.complex(statistics[0], statistics[1])), join_mates(statistics[2])
        # a mini-batch may have no weight at all
        floor = EMPTY * weight.sum() / (weight > 0).sum().clamp_min(1)
        return solve(data, weight + floor, self.operator.grid)[None] / self.scale

    def prior_value(self, x: Float[Tensor, "1 n n n"]) -> Float[Tensor, ""]:
        """The prior's part of an image."""
        return self._share * self.prior.energy(self.density(x))

    def prior_gradient(self, x: Float[Tensor, "1 n n n"]) -> Float[Tensor, "n n n"]:
        """Its derivative."""
        return self.prior.gradient(self.density(x)) * (self._share * self.scale)

    def prior_hessian(self, x: Float[Tensor, "1 n n n"], vector: Float[Tensor, "1 n n n"]) -> Float[Tensor, "n n n"]:
        """Its second derivative times ``vector``."""
        return self.prior.curvature(self.density(x)) * self.density(vector) * (self._share * self.scale)

    @property
    def _share(self) -> float:
        """Part of the prior of an image, for each voxel of the working grid."""
        grid = self.operator.grid
        return (grid.box / grid.size) ** 3 / self.terms


def largest_curvature(observations: Observations, operator: SliceOperator, quadrature: PoseQuadrature) -> float:
    """Largest eigenvalue of the mean curvature of the data if poses are spread evenly, per image and unit density.

    The back-projected weights lie above the curvature of trilinear slices; power iteration finds their norm.
    """
    mean = observations.weight.mean(0)
    grid = operator.grid
    weight = 2 * quadrature.log_weight.exp()[:, None] * mean
    spectrum = join_mates(operator.normal(weight))
    # always the same start: the unit of the unknown depends on the images alone
    vector = torch.randn((grid.size,) * 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(mean)
    largest = 0.0
    for _ in range(POWER_ITERATIONS):
        vector = vector / vector.norm()
        image = grid.adjoint(_halved(spectrum * grid.model(vector[None]).spectra[0]))
        largest, vector = float((vector * image).sum()), image
    return SAFETY * largest


def _halved(half: Complex[Tensor, "q q h"]) -> Complex[Tensor, "q q h"]:
    """A complete half volume as one that ``join_mates`` completes: the plane x = 0 counts once, not twice."""
    halved = half.clone()
    halved[..., 0] *= 0.5
    return halved
