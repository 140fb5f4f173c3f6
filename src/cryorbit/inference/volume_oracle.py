"""A density seen in images of unknown pose as a finite sum, for any optimiser: value, gradient, Hessian, EM.

The terms are, for every image i of K,

    f_i = -log sum_j w_j p(image_i | pose_j, V) / p(image_i | noise)  -  log p(V) / K

over the nodes of a quadrature (Punjani & Brubaker 2014, equations 4 and 6). The noise alone is subtracted because it
is the same for all V: a sum of zero means that nothing was learned, and differences are those of log-likelihoods in
nats.

Images are kept in memory as observations at one Fourier radius, 16 bytes a coefficient in single precision: 130 MB
for 50,000 images at a radius of ten. What the unknown is stands in ``scaled_density``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.fourier.half_disc import HalfDisc
from cryorbit.imaging.observations import Observations
from cryorbit.imaging.slices import SliceOperator
from cryorbit.inference.full_marginal import expect_changes, expect_slices, log_evidence
from cryorbit.inference.packed_sums import with_least_weight
from cryorbit.inference.pose_quadrature import PoseQuadrature
from cryorbit.inference.priors import DensityPrior
from cryorbit.inference.scaled_density import ScaledDensity, largest_curvature
from cryorbit.optim.protocols import Evaluation, Expectation
from cryorbit.volumes.model import ModelGrid

Index = Int[Tensor, " b"] | None


@dataclass(frozen=True, slots=True)
class VolumeOracle:
    """The finite sum over images; made by ``of``.

    Attributes
    ----------
    observations
        The images at one Fourier radius.
    model
        What the unknown looks like at the poses summed over, and its prior.
    """

    observations: Observations
    model: ScaledDensity

    @classmethod
    def of(
        cls,
        observations: Observations,
        grid: ModelGrid,
        disc: HalfDisc,
        quadrature: PoseQuadrature,
        prior: DensityPrior,
    ) -> VolumeOracle:
        """The sum over ``observations`` on ``disc`` of a density on ``grid``."""
        fitted = quadrature.to(observations.data)
        operator = SliceOperator(grid, disc, fitted.rotations)
        scale = largest_curvature(observations, operator, fitted) ** -0.5
        return cls(observations, ScaledDensity(operator, fitted, prior, scale, len(observations)))

    @property
    def num_terms(self) -> int:
        """Number of images."""
        return len(self.observations)

    def with_images(self, observations: Observations) -> VolumeOracle:
        """The same unknown and prior seen in other images: those held out."""
        return VolumeOracle(observations, self.model)

    def chosen(self, idx: Index) -> Observations:
        """The images ``idx``, or all."""
        return self.observations if idx is None else self.observations[idx]

    def evaluate(self, x: Float[Tensor, "1 n n n"], idx: Index) -> Evaluation:
        """Mean value and gradient."""
        chosen, nodes = self.chosen(idx), self.model.nodes(x)
        evidence, statistics = expect_slices(chosen, nodes)
        pull = self.model.backproject(statistics.weight * nodes.slices - statistics.data) / len(chosen)
        return Evaluation(self.model.prior_value(x) - evidence.mean(), pull + self.model.prior_gradient(x))

    def value(self, x: Float[Tensor, "1 n n n"], idx: Index = None) -> Float[Tensor, ""]:
        """Mean value alone, at half the cost."""
        return self.model.prior_value(x) - log_evidence(self.chosen(idx), self.model.nodes(x)).mean()

    def negative_log_likelihood(self, x: Float[Tensor, "1 n n n"]) -> Float[Tensor, ""]:
        """Mean over all images without the prior, nats an image, relative to pure noise."""
        return -log_evidence(self.observations, self.model.nodes(x)).mean()

    def hessian_vector(self, x: Float[Tensor, "1 n n n"], vector: Float[Tensor, "1 n n n"], idx: Index) -> Tensor:
        """Mean Hessian times ``vector``: expected curvature less the covariance of the gradients over poses."""
        chosen, nodes = self.chosen(idx), self.model.nodes(x)
        changes = self.model.operator.project(self.model.density(vector))
        statistics, moved = expect_changes(chosen, nodes, changes)
        slices = statistics.weight * changes + moved.weight * nodes.slices - moved.data
        return self.model.backproject(slices) / len(chosen) + self.model.prior_hessian(x, vector)

    def curvature(self, x: Float[Tensor, "1 n n n"]) -> Float[Tensor, "1 n n n"]:
        """One everywhere: the largest curvature of the data, were the poses known and spread evenly."""
        return torch.ones_like(x)

    def expect(self, x: Float[Tensor, "1 n n n"], idx: Index) -> Expectation:
        """Mean value, and mean D and W back-projected: real part, imaginary part, weight."""
        chosen = self.chosen(idx)
        evidence, statistics = expect_slices(chosen, self.model.nodes(x))
        return Expectation(self.model.prior_value(x) - evidence.mean(), self.model.insert(statistics) / len(chosen))

    def maximise(self, statistics: Float[Tensor, "3 q q h"]) -> Float[Tensor, "1 n n n"]:
        """M-step without a prior: D / W on the Fourier grid."""
        return self.model.solve(statistics)

    def admissible(self, statistics: Float[Tensor, "3 q q h"], reference: Float[Tensor, "3 q q h"]) -> Tensor:
        """Statistics whose weights are at least a small part of those of ``reference``."""
        return with_least_weight(statistics, reference)
