"""SVRG+I: variance-reduced gradients times an inverse subsampled Hessian (Kolte et al. 2015; Paul 2024, alg. 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.blocks import Blocks
from cryorbit.optim.ranges import Count, Positive, Share
from cryorbit.optim.safeguards import Safeguard
from cryorbit.optim.settings import Checked
from cryorbit.optim.smoothness import find_smoothness
from cryorbit.optim.snapshots import Gradient
from cryorbit.optim.variance_reduction import Course, Epoch, StepRule


@dataclass(frozen=True, slots=True)
class SubsampledHessianState:
    """Smoothness at the start, the inverse Hessian and its age in epochs, and what is kept from epoch to epoch."""

    smoothness: Float[Tensor, ""]
    inverse: Float[Tensor, "d d"]
    age: int = 0
    course: Course = field(default_factory=Course)


@dataclass(frozen=True, slots=True)
class SVRGSubsampledHessian(Checked):
    """``x <- x - eta H (g_k(x) - g_k(x~) + g(x~))`` with H from the Hessian of some blocks at the snapshot.

    Hessian products with all d unit vectors are made; the eigenvalues of the result, scaled by the curvature, are
    replaced by their magnitudes, those below rank r by the next one, and none is less than ``floor`` times the largest.

    Attributes
    ----------
    step_size
        eta; 1 is a full Newton step.
    share
        Share of the blocks whose Hessian is taken.
    rank
        Eigenvalues kept; None for all.
    refresh
        Epochs between two Hessians.
    base
        Scale in which eigenvalues are compared: the oracle's "curvature" where it has one, or a "scalar", the
        smoothness.
    floor
        Least eigenvalue, as a part of the largest.
    restart
        Where an epoch ends: at the "last" iterate, or at the "average" as in Paul 2024.
    safeguard
        Which steps and epochs are refused.
    batch_size
        Terms in a mini-batch.
    """

    step_size: Positive = 0.3
    share: Share = 1.0
    rank: Count | None = None
    refresh: Count = 5
    base: Literal["curvature", "scalar"] = "curvature"
    floor: Share = 1e-2
    restart: Literal["last", "average"] = "last"
    safeguard: Safeguard = field(default_factory=Safeguard)
    batch_size: Count | None = 300

    def init(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> SubsampledHessianState:
        """Find the smoothness; no Hessian yet."""
        return SubsampledHessianState(find_smoothness(blocks, x), x.new_zeros(x.numel(), x.numel()))

    def step(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        state: SubsampledHessianState,
        order: Sequence[int],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "*shape"], SubsampledHessianState]:
        """An epoch: one pass for the snapshot, at times d for the Hessian, then a step a block."""
        epoch = Epoch(Gradient(), self.step_size, self.restart, self.safeguard)
        start, _, course = epoch.begin(blocks, x, state.course)
        diagonal = self._diagonal(blocks, start.x, state.smoothness)
        inverse, age = state.inverse, state.age
        # a Hessian under which the objective has risen is taken anew, whatever its age
        if age % self.refresh == 0 or course.rises:
            inverse, age = self._inverse(blocks, start.x, diagonal, generator), 0
        rule = StepRule(lambda g: g / diagonal, lambda g: (inverse @ g.flatten()).view_as(g), diagonal)
        x, course = epoch.go(blocks, rule, course, order)
        return x, SubsampledHessianState(state.smoothness, inverse, age + 1, course)

    def _diagonal(
        self, blocks: Blocks, x: Float[Tensor, "*shape"], smoothness: Float[Tensor, ""]
    ) -> Float[Tensor, "*shape"]:
        diagonal = blocks.curvature(x) if self.base == "curvature" else None
        return smoothness.expand_as(x) if diagonal is None else diagonal

    def _inverse(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        diagonal: Float[Tensor, "*shape"],
        generator: torch.Generator,
    ) -> Float[Tensor, "d d"]:
        count = max(1, round(self.share * blocks.count))
        chosen = torch.randperm(blocks.count, generator=generator)[:count].tolist()
        units = torch.eye(x.numel(), dtype=x.dtype, device=x.device).view(-1, *x.shape)
        columns = [torch.stack([blocks.hessian_vector(x, unit, block) for block in chosen]).mean(0) for unit in units]
        scale = diagonal.flatten().rsqrt()
        scaled = scale[:, None] * torch.stack(columns).flatten(1) * scale
        # products by finite differences are symmetric up to their error only
        values, vectors = torch.linalg.eigh((scaled + scaled.mT) / 2)
        values = limited_spectrum(values.abs(), self.rank, self.floor)
        return scale[:, None] * (vectors / values @ vectors.mT) * scale


def limited_spectrum(values: Float[Tensor, " d"], rank: int | None, floor: float) -> Float[Tensor, " d"]:
    """Positive eigenvalues; those after the ``rank`` largest become the next, none is under ``floor`` of the first."""
    largest = values.sort(descending=True).values
    if rank is not None and rank < len(values):
        values = torch.where(values > largest[rank], values, largest[rank])
    return values.clamp_min(floor * largest[0])
