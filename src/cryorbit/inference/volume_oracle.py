"""A density seen in images of unknown pose as a finite sum, for any optimiser: value, gradient, Hessian, EM.

The terms are, for every image i of K,

    f_i = -log sum_j w_j p(image_i | pose_j, V) / p(image_i | noise)  -  log p(V) / K

over the nodes of a quadrature (Punjani & Brubaker 2014, equations 4 and 6). The noise alone is subtracted because it
is the same for all V: a sum of zero means that nothing was learned, and differences are those of log-likelihoods in
nats.

The unknown is a real tensor ``x [1 n n n]``: the density on the smallest grid that holds the Fourier radius, divided
by a scale that makes the largest curvature of the data one. So steps of length one are safe, whatever the data, and
``x`` is of the size of its own signal-to-noise ratio. Images are kept in memory as observations at that radius, 16
bytes a coefficient in single precision: 130 MB for 50,000 images at a radius of ten.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from cryorbit.fourier.half_disc import HalfDisc
from cryorbit.fourier.interpolation import join_mates
from cryorbit.imaging.observations import Observations
from cryorbit.imaging.shifts import shift_phases
from cryorbit.imaging.slices import SliceOperator
from cryorbit.inference.full_marginal import Nodes, expect_changes, expect_slices, log_evidence
from cryorbit.inference.marginal import SliceStatistics
from cryorbit.inference.pose_quadrature import PoseQuadrature
from cryorbit.inference.priors import DensityPrior
from cryorbit.inference.statistics import insert
from cryorbit.optim.protocols import Evaluation, Expectation
from cryorbit.volumes.voxel import VoxelGrid, adjoint, solve, synthesize

Index = Int[Tensor, " b"] | None
POWER_ITERATIONS = 30
SAFETY = 1.05
"""Power iterations end below the largest eigenvalue; by how much at most, in practice."""
EMPTY = 1e-3
"""Weight, as a part of the mean, that an M-step adds: frequencies no slice has met stay at zero."""


@dataclass(frozen=True, slots=True)
class VolumeOracle:
    """The finite sum over images; made by ``of``.

    Attributes
    ----------
    observations
        The images at one Fourier radius.
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

    observations: Observations
    operator: SliceOperator
    quadrature: PoseQuadrature
    prior: DensityPrior
    scale: float
    terms: int

    @classmethod
    def of(
        cls,
        observations: Observations,
        grid: VoxelGrid,
        disc: HalfDisc,
        quadrature: PoseQuadrature,
        prior: DensityPrior,
    ) -> VolumeOracle:
        """The sum over ``observations`` on ``disc`` of a density on ``grid``."""
        fitted = quadrature.to(observations.data)
        operator = SliceOperator(grid, disc, fitted.rotations)
        scale = largest_curvature(observations, operator, fitted) ** -0.5
        return cls(observations, operator, fitted, prior, scale, len(observations))

    @property
    def num_terms(self) -> int:
        """Number of images."""
        return len(self.observations)

    def with_images(self, observations: Observations) -> VolumeOracle:
        """The same unknown and prior seen in other images: those held out."""
        return VolumeOracle(observations, self.operator, self.quadrature, self.prior, self.scale, self.terms)

    def density(self, x: Float[Tensor, "1 n n n"]) -> Float[Tensor, "n n n"]:
        """The density on the working grid."""
        return self.scale * x[0]

    def unknown(self, density: Float[Tensor, "n n n"]) -> Float[Tensor, "1 n n n"]:
        """The unknown of a density on the working grid."""
        return density[None].to(self.observations.weight) / self.scale

    def evaluate(self, x: Float[Tensor, "1 n n n"], idx: Index) -> Evaluation:
        """Mean value and gradient."""
        chosen, nodes = self.chosen(idx), self.nodes_of(x)
        evidence, found = expect_slices(chosen, nodes)
        pull = self._backproject(found.weight * nodes.slices - found.data) / len(chosen)
        return Evaluation(self.prior_value(x) - evidence.mean(), pull + self.prior_gradient(x))

    def value(self, x: Float[Tensor, "1 n n n"], idx: Index = None) -> Float[Tensor, ""]:
        """Mean value alone, at half the cost."""
        return self.prior_value(x) - log_evidence(self.chosen(idx), self.nodes_of(x)).mean()

    def negative_log_likelihood(self, x: Float[Tensor, "1 n n n"]) -> Float[Tensor, ""]:
        """Mean over all images without the prior, nats an image, relative to pure noise."""
        return -log_evidence(self.observations, self.nodes_of(x)).mean()

    def hessian_vector(self, x: Float[Tensor, "1 n n n"], vector: Float[Tensor, "1 n n n"], idx: Index) -> Tensor:
        """Mean Hessian times ``vector``: expected curvature less the covariance of the gradients over poses."""
        chosen, nodes = self.chosen(idx), self.nodes_of(x)
        changes = self.operator.project(self.density(vector))
        found, moved = expect_changes(chosen, nodes, changes)
        slices = found.weight * changes + moved.weight * nodes.slices - moved.data
        prior = self.prior.curvature(self.density(x)) * self.density(vector) * (self._share * self.scale)
        return self._backproject(slices) / len(chosen) + prior

    def curvature(self, x: Float[Tensor, "1 n n n"]) -> Float[Tensor, "1 n n n"]:
        """One everywhere: the largest curvature of the data, were the poses known and spread evenly."""
        return torch.ones_like(x)

    def expect(self, x: Float[Tensor, "1 n n n"], idx: Index) -> Expectation:
        """Mean value, and mean D and W back-projected: real part, imaginary part, weight."""
        chosen, nodes = self.chosen(idx), self.nodes_of(x)
        evidence, found = expect_slices(chosen, nodes)
        return Expectation(self.prior_value(x) - evidence.mean(), self.statistics(found) / len(chosen))

    def statistics(self, found: SliceStatistics) -> Float[Tensor, "3 q q h"]:
        """Sums on slices, inserted into the padded Fourier grid."""
        operator, live = self.operator, torch.nonzero(found.weight.amax(1) > 0)[:, 0]
        rotations = operator.rotations[live]
        data, weight = insert(found.data[live], found.weight[live], rotations, operator.disc, operator.grid)
        return torch.stack([data.real, data.imag, weight])

    def maximise(self, statistics: Float[Tensor, "3 q q h"]) -> Float[Tensor, "1 n n n"]:
        """M-step without a prior: D / W on the Fourier grid."""
        data, weight = join_mates(torch.complex(statistics[0], statistics[1])), join_mates(statistics[2])
        floor = EMPTY * weight.sum() / (weight > 0).sum().clamp_min(1)
        return solve(data, weight + floor, self.operator.grid)[None] / self.scale

    def admissible(self, statistics: Float[Tensor, "3 q q h"], reference: Float[Tensor, "3 q q h"]) -> Tensor:
        """Statistics whose weights are not negative."""
        del reference
        return torch.cat([statistics[:2], statistics[2:].clamp_min(0)])

    def chosen(self, idx: Index) -> Observations:
        """The images ``idx``, or all."""
        return self.observations if idx is None else self.observations[idx]

    def nodes_of(self, x: Float[Tensor, "1 n n n"]) -> Nodes:
        """Slices of the density at all rotations."""
        slices = self.operator.project(self.density(x))
        return Nodes(slices, self.phases(), self.quadrature.log_weight, self.quadrature.log_shift_weight)

    def phases(self) -> Complex[Tensor, "t p"]:
        """Phases of the shifts of the quadrature."""
        return shift_phases(self.quadrature.shifts, self.operator.disc).to(self.observations.data)

    @property
    def _share(self) -> float:
        """Part of the prior of an image, for each voxel of the working grid."""
        grid = self.operator.grid
        return (grid.box / grid.size) ** 3 / self.terms

    def prior_value(self, x: Float[Tensor, "1 n n n"]) -> Float[Tensor, ""]:
        """What the prior adds to the mean value."""
        return self._share * self.prior.energy(self.density(x))

    def prior_gradient(self, x: Float[Tensor, "1 n n n"]) -> Float[Tensor, "n n n"]:
        """What it adds to the gradient."""
        return self.prior.gradient(self.density(x)) * (self._share * self.scale)

    def _backproject(self, slices: Complex[Tensor, "g p"]) -> Float[Tensor, "1 n n n"]:
        """Adjoint of the slices of the unknown; rotations that no image takes are left out."""
        live = torch.nonzero(slices.real.abs().amax(1) > 0)[:, 0]
        part = SliceOperator(self.operator.grid, self.operator.disc, self.operator.rotations[live])
        return part.backproject(slices[live])[None] * self.scale


def largest_curvature(observations: Observations, operator: SliceOperator, quadrature: PoseQuadrature) -> float:
    """Largest eigenvalue of the mean curvature of the data if poses are spread evenly, per image and unit density.

    The back-projected weights lie above the curvature of trilinear slices; power iteration finds their norm.
    """
    mean = observations.weight.mean(0)
    grid, disc = operator.grid, operator.disc
    weight = 2 * quadrature.log_weight.exp()[:, None] * mean
    inserted = insert(torch.zeros_like(weight, dtype=observations.data.dtype), weight, operator.rotations, disc, grid)
    spectrum = join_mates(inserted[1])
    vector = torch.randn((grid.size,) * 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(mean)
    largest = 0.0
    for _ in range(POWER_ITERATIONS):
        vector = vector / vector.norm()
        image = adjoint(_halved(spectrum * synthesize(vector, grid)), grid)
        largest, vector = float((vector * image).sum()), image
    return SAFETY * largest


def _halved(half: Complex[Tensor, "q q h"]) -> Complex[Tensor, "q q h"]:
    """A complete half volume as one that ``join_mates`` completes: the plane x = 0 counts once, not twice."""
    halved = half.clone()
    halved[..., 0] *= 0.5
    return halved
