"""Images of unknown pose as a finite sum over a grid of all poses, for any optimiser: how a random start becomes a map.

The terms are, for every image i,

    f_i = -log sum_j w_j p(image_i | pose_j, V) / p(image_i | noise)

The field of descent is the gradient in the metric of the curvature: where images ask for D and W on the Fourier grid,
``-(D - W V) / C``, made a volume as an M-step makes it. With C = W it is the residual ``V - psi(V)`` of expectation
maximisation (Paul 2024, section 4.4.2), with C the largest W a plain gradient; a step of length one along it is a
damped M-step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from cryorbit.fourier.half_disc import HalfDisc
from cryorbit.fourier.interpolation import join_mates
from cryorbit.imaging.observations import Observations
from cryorbit.imaging.shifts import shift_phases
from cryorbit.inference.class_mixing import class_mass, mix_classes
from cryorbit.inference.marginal import SliceStatistics, pose_posterior, slice_statistics
from cryorbit.inference.packed_sums import packed_sums, unpacked_sums, with_least_weight
from cryorbit.inference.pose_grid import PoseGrid, grid_slices
from cryorbit.inference.voxel_prior import VoxelPrior
from cryorbit.optim.protocols import Evaluation, Expectation
from cryorbit.volumes.model import ModelGrid, solve

Curvature = Callable[[Float[Tensor, "z q h"]], Float[Tensor, "z q h"]]
"""The curvature on the Fourier grid from the weights W."""
FLOOR = 0.02
"""Part of the largest W that is added to W: frequencies that hardly any slice has met move slowly."""
DEAD = 1e-3
"""A class with less than this part of the largest class' weight is left as it is: its curvature says nothing."""


def diagonal(weight: Float[Tensor, "z q h"]) -> Float[Tensor, "z q h"]:
    """``W + floor max W``: a damped stochastic M-step (Toader, Brubaker & Lederman 2025, with the exact majoriser)."""
    return weight + FLOOR * weight.max()


def largest(weight: Float[Tensor, "z q h"]) -> Float[Tensor, "z q h"]:
    """``max W`` everywhere: the step of the cryoSPARC algorithm, one length for all frequencies."""
    return torch.full_like(weight, float(weight.max()))


def mean_residual(
    observations: Observations, slices: Complex[Tensor, "g p"], statistics: SliceStatistics
) -> Float[Tensor, " p"]:
    """Squared residual under the posterior, mean over the images, in the units of ``Observations.power``."""
    overlap = (slices.conj() * statistics.data).real.sum(0)
    explained = (statistics.weight * slices.abs().square()).sum(0)
    return (observations.power.sum(0) - 2 * overlap + explained) / len(observations)


CURVATURES: dict[str, Curvature] = {"diagonal": diagonal, "largest": largest}


@dataclass(frozen=True, slots=True)
class GridReport:
    """What an E-step saw.

    Attributes
    ----------
    log_likelihood
        Mean over the images, nats.
    effective
        Mean effective number of poses.
    class_fractions
        Mean posterior of the classes.
    residual
        Of each coefficient, the mean squared residual under the posterior, in the units of ``Observations.power``;
        None unless it is asked for.
    """

    log_likelihood: float
    effective: float
    class_fractions: Float[Tensor, " k"]
    residual: Float[Tensor, " p"] | None = None


@dataclass(frozen=True, slots=True)
class GridOracle:
    """The finite sum over images.

    Attributes
    ----------
    observations
        The images at one Fourier radius.
    poses
        The grid.
    grid, disc
        Geometry of the unknown and half disc of the radius.
    curvature
        What the gradient is divided by.
    class_mixing
        Part of every image's class posterior that is spread evenly over the classes.
    prior
        Of the density; None for a flat one. The M-step leaves it out.
    measures_residuals
        Whether reports hold the residuals, from which the noise can be measured.
    reports
        What every E-step saw, the last one last.
    """

    observations: Observations
    poses: PoseGrid
    grid: ModelGrid
    disc: HalfDisc
    curvature: Curvature = diagonal
    class_mixing: float = 0.0
    prior: VoxelPrior | None = None
    measures_residuals: bool = False
    reports: list[GridReport] = field(default_factory=list)

    @property
    def num_terms(self) -> int:
        """Number of images."""
        return len(self.observations)

    def evaluate(self, x: Float[Tensor, "k ..."], idx: Int[Tensor, " b"] | None) -> Evaluation:
        """Mean value, and the field."""
        value, slices, statistics = self._expect_slices(x, idx)
        inserted = self._inserted(SliceStatistics(statistics.data - statistics.weight * slices, statistics.weight))
        if self.prior is None:
            return Evaluation(value, -self._solved(inserted))
        images = self.num_terms if idx is None else len(idx)
        pulls = images * self.prior.pull(x)
        pulled = [(data + pull, weight) for (data, weight), pull in zip(inserted, pulls, strict=True)]
        return Evaluation(value + self.prior.value(x), -self._solved(pulled))

    def expect(self, x: Float[Tensor, "k ..."], idx: Int[Tensor, " b"] | None) -> Expectation:
        """Mean value, and mean D and W: real part, imaginary part, weight."""
        value, _, statistics = self._expect_slices(x, idx)
        pairs = self._inserted(statistics)
        packed = torch.stack([packed_sums(*pair) for pair in pairs])
        return Expectation(value, packed / (self.num_terms if idx is None else len(idx)))

    def maximise(self, statistics: Float[Tensor, "k 3 z q h"]) -> Float[Tensor, "k ..."]:
        """M-step, damped where W is small."""
        return self._solved([unpacked_sums(packed) for packed in statistics])

    def admissible(
        self, statistics: Float[Tensor, "k 3 z q h"], reference: Float[Tensor, "k 3 z q h"]
    ) -> Float[Tensor, "k 3 z q h"]:
        """Statistics whose weights are at least a small part of those of ``reference``."""
        return with_least_weight(statistics, reference)

    def _expect_slices(
        self, x: Float[Tensor, "k ..."], idx: Int[Tensor, " b"] | None
    ) -> tuple[Float[Tensor, ""], Complex[Tensor, "g p"], SliceStatistics]:
        """Mean value, all slices, and what the images ask of them."""
        chosen = self.observations if idx is None else self.observations[idx]
        classes, per_class = self.poses.rotations.shape[:2]
        fronts = grid_slices(self.grid.model(x), self.poses.fronts, self.disc)
        slices = torch.stack([fronts, fronts.conj()], 1).flatten(0, 1)
        phases = shift_phases(self.poses.shifts, self.disc)
        log_prior = self.poses.rotation_prior.flatten().to(slices.real) - math.log(len(slices) * len(phases))
        shift_prior = self.poses.shift_prior
        posterior = pose_posterior(chosen, fronts, phases, log_prior, shift_prior=shift_prior)
        mass = class_mass(posterior, per_class, classes, len(chosen))
        mixed = mix_classes(posterior, mass, per_class, self.class_mixing)
        evidence = posterior.log_evidence.mean()
        likelihood, effective = torch.stack([evidence, posterior.effective.mean()]).tolist()
        statistics = slice_statistics(mixed, chosen, phases, len(slices))
        residual = mean_residual(chosen, slices, statistics) if self.measures_residuals else None
        self.reports.append(GridReport(likelihood, effective, mass.mean(0), residual))
        return -evidence, slices, statistics

    def _inserted(self, statistics: SliceStatistics) -> list[tuple[Complex[Tensor, "z q h"], Float[Tensor, "z q h"]]]:
        """Data and weight of each class on its Fourier grid."""
        classes, per_class = self.poses.rotations.shape[:2]
        touched = statistics.weight[:, 0] > 0
        pairs = []
        for k in range(classes):
            part = slice(k * per_class, (k + 1) * per_class)
            live = torch.nonzero(touched[part])[:, 0]
            data, weight = statistics.data[part][live], statistics.weight[part][live]
            pair = self.grid.insert(data, weight, self.poses.rotations[k][live], self.disc.frequencies)
            pairs.append((join_mates(pair[0]), join_mates(pair[1])))
        return pairs

    def _solved(self, pairs: list[tuple[Complex[Tensor, "z q h"], Float[Tensor, "z q h"]]]) -> Float[Tensor, "k ..."]:
        """Data over the curvature of each class; zero for a class that (almost) no image belongs to."""
        largest_weights = torch.stack([weight.max() for _, weight in pairs]).tolist()
        maps = []
        for (data, weight), most in zip(pairs, largest_weights, strict=True):
            live = most >= DEAD * max(largest_weights)
            maps.append(solve(data if live else torch.zeros_like(data), self.curvature(weight), self.grid))
        return torch.stack(maps)
