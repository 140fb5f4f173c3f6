"""Images of two half-sets, each under its own references, as a finite sum at the present radius, for any optimiser.

The unknown are the references of both. The field of descent is the gradient ``D - W q - q / tau^2`` of the M-step's
objective over ``W + 1 / tau^2`` (``inference.preconditioned``), with the sign of a descent: a whole step along it, with
the W of all images, is the M-step of a pass.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.fourier.interpolation import join_mates
from cryorbit.inference.gold_standard import gold_standard_maps
from cryorbit.inference.mstep import ShellWeights, shell_weights
from cryorbit.inference.packed_sums import packed_sums, unpacked_sums, with_least_weight
from cryorbit.inference.preconditioned import half_prior, preconditioned_step
from cryorbit.inference.statistics import VolumeStatistics, no_terms
from cryorbit.optim.protocols import Evaluation
from cryorbit.optim.protocols import Expectation as Statistics
from cryorbit.recipes.dataset import Dataset
from cryorbit.recipes.refine.config import RefineConfig
from cryorbit.recipes.refine.e_step import EStep, e_step
from cryorbit.recipes.refine.state import RefineState
from cryorbit.volumes.voxel import VoxelGrid, on_grid, working_grid

Halves = tuple[Int[Tensor, " a"], Int[Tensor, " b"]]


class Curvature(Protocol):
    """What gradients of some images are divided by."""

    def of(self, estep: EStep, grid: VoxelGrid, inserted: float) -> Preconditioner:
        """For the images of an E-step whose statistics go to a radius."""
        ...


@dataclass(frozen=True, slots=True)
class Preconditioner:
    """W on the padded grids of both half-sets, completed by ``join_mates``, and its mean in each shell."""

    weight: Float[Tensor, "2 k q q h"]
    shells: ShellWeights


@dataclass(frozen=True, slots=True)
class RunningMean:
    """The mean of W over mini-batches.

    Attributes
    ----------
    before
        What earlier mini-batches left, or None.
    share
        Part that each mini-batch renews.
    """

    before: Float[Tensor, "2 k q q h"] | None
    share: float

    def of(self, estep: EStep, grid: VoxelGrid, inserted: float) -> Preconditioner:
        """The mean with these images; frequencies that earlier grids did not hold start with their own W."""
        mean = torch.empty_like(estep.statistics.weight)
        before = None if self.before is None else on_grid(self.before, grid)
        # a half-set after the other, and in place: they are among the largest arrays of a mini-batch
        for half, weight in enumerate(estep.statistics.weight):
            mean[half] = join_mates(weight)
            if before is not None:
                mean[half].mul_(torch.where(before[half] > 0, self.share, 1.0)).add_(before[half], alpha=1 - self.share)
        return Preconditioner(mean, shell_weights(estep.statistics, grid, inserted))


@dataclass(frozen=True, slots=True)
class PartOfAll:
    """W of all images, of which some images have their part: each mini-batch divides by the same W, up to a factor.

    Attributes
    ----------
    preconditioner
        Of all images.
    images
        How many these are, in each half-set.
    """

    preconditioner: Preconditioner
    images: Float[Tensor, " 2"]

    def of(self, estep: EStep, grid: VoxelGrid, inserted: float) -> Preconditioner:
        """The part of the images of an E-step."""
        del grid, inserted
        part = (estep.images / self.images).to(self.preconditioner.weight)
        shells = self.preconditioner.shells
        mean = shells.mean * part[:, None, None]
        return Preconditioner(self.preconditioner.weight * part.view(2, 1, 1, 1, 1), replace(shells, mean=mean))


@dataclass(frozen=True, slots=True)
class EvaluatedImages:
    """What one E-step found, and what gradients of its images are divided by."""

    estep: EStep
    preconditioner: Preconditioner


@dataclass(frozen=True, slots=True)
class HalfSetOracle:
    """The finite sum over images of both half-sets.

    Attributes
    ----------
    config, dataset
        Settings and particles.
    state
        Radius, noise, scales and known poses.
    images
        Of each half-set; terms are numbered through both.
    inserted
        Fourier radius to which images are inserted.
    fsc
        Correlation of the half-maps by shell, which gives the prior.
    curvature
        What gradients are divided by.
    mask
        Soft mask outside which references of an M-step are zero.
    last
        What the last evaluation found: no more is kept, as its sums are the largest arrays there are.
    """

    config: RefineConfig
    dataset: Dataset
    state: RefineState
    images: Halves
    inserted: float
    fsc: Float[Tensor, "k s"]
    curvature: Curvature
    mask: Float[Tensor, "m m m"]
    last: deque[EvaluatedImages] = field(default_factory=lambda: deque(maxlen=1))

    @property
    def grid(self) -> VoxelGrid:
        """The working box."""
        return working_grid(self.dataset.box, self.inserted)

    @property
    def num_terms(self) -> int:
        """Number of images."""
        return len(self.images[0]) + len(self.images[1])

    def evaluate(self, x: Float[Tensor, "2 k m m m"], idx: Int[Tensor, " b"] | None) -> Evaluation:
        """Mean value, without that of the prior, and the field."""
        grid, evaluated = self.grid, self._evaluated(x, idx)
        statistics, preconditioner, steps = evaluated.estep.statistics, evaluated.preconditioner, []
        for h in range(2):
            prior = half_prior(preconditioner.shells, h, self.fsc)
            steps.append(preconditioned_step(statistics, h, x[h], prior, preconditioner.weight[h], grid))
        return Evaluation(x.new_tensor(-evaluated.estep.log_likelihood), -torch.stack(steps))

    def expect(self, x: Float[Tensor, "2 k m m m"], idx: Int[Tensor, " b"] | None) -> Statistics:
        """Mean value, and mean D and W of both half-sets: real part, imaginary part, weight."""
        estep = self._evaluated(x, idx).estep
        data, weight = estep.statistics.data, estep.statistics.weight
        packed = packed_sums(data, weight) / float(estep.statistics.images)
        return Statistics(x.new_tensor(-estep.log_likelihood), packed)

    def maximise(self, statistics: Float[Tensor, "2 k 3 q q h"]) -> Float[Tensor, "2 k m m m"]:
        """The M-step of a pass."""
        data, weight = unpacked_sums(statistics)
        nothing = no_terms(self.state.noise_variance[0], len(weight[0]))
        sums = VolumeStatistics.of(data, weight.contiguous(), nothing)
        join = self.dataset.extent / self.config.passes.join_resolution
        window = self.dataset.window(self.grid.size)
        return gold_standard_maps(sums, self.grid, self.inserted, join, window, self.mask).references

    def admissible(
        self, statistics: Float[Tensor, "2 k 3 q q h"], reference: Float[Tensor, "2 k 3 q q h"]
    ) -> Float[Tensor, "2 k 3 q q h"]:
        """Statistics whose weights are at least a small part of those of ``reference``."""
        return with_least_weight(statistics, reference)

    def _evaluated(self, x: Float[Tensor, "2 k m m m"], idx: Int[Tensor, " b"] | None) -> EvaluatedImages:
        """The E-step of some images under references."""
        estep = e_step(self.config, self.dataset, replace(self.state, references=x), self.inserted, self._of_each(idx))
        evaluated = EvaluatedImages(estep, self.curvature.of(estep, self.grid, self.inserted))
        self.last.append(evaluated)
        return evaluated

    def _of_each(self, idx: Int[Tensor, " both"] | None) -> Halves:
        """The images of each half-set among the terms ``idx``, sorted as they are stored."""
        if idx is None:
            return self.images
        first, second = self.images
        ours, theirs = idx[idx < len(first)], idx[idx >= len(first)] - len(first)
        return first[ours].sort().values, second[theirs].sort().values
