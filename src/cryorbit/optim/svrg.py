"""SVRG: stochastic gradients whose variance is reduced against a snapshot (Johnson & Zhang 2013)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.blocks import Blocks
from cryorbit.optim.ranges import Count, Positive
from cryorbit.optim.safeguards import Safeguard
from cryorbit.optim.settings import Checked
from cryorbit.optim.smoothness import find_smoothness
from cryorbit.optim.snapshots import Gradient
from cryorbit.optim.variance_reduction import Course, Epoch, StepRule


@dataclass(frozen=True, slots=True)
class SVRGState:
    """Smoothness at the start, and what is kept from epoch to epoch."""

    smoothness: Float[Tensor, ""]
    course: Course = field(default_factory=Course)


@dataclass(frozen=True, slots=True)
class SVRG(Checked):
    """``x <- x - eta (g_k(x) - g_k(x~) + g(x~))``.

    Attributes
    ----------
    step_size
        eta in units of the plain step.
    base
        Plain step: the gradient over the oracle's "curvature" where it has one, or over a "scalar", the smoothness L.
    restart
        Where an epoch ends: at the "last" iterate, or at the "average" as in Paul 2024.
    safeguard
        Whether an epoch that raises the objective is taken back.
    batch_size
        Terms in a mini-batch.
    """

    step_size: Positive = 0.5
    base: Literal["curvature", "scalar"] = "curvature"
    restart: Literal["last", "average"] = "last"
    safeguard: Safeguard = field(default_factory=Safeguard)
    batch_size: Count | None = 100
    unit_free: ClassVar[bool] = True

    def init(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> SVRGState:
        """Find the smoothness."""
        return SVRGState(find_smoothness(blocks, x))

    def step(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        state: SVRGState,
        order: Sequence[int],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "*shape"], SVRGState]:
        """An epoch: one pass for the snapshot, then a step a block."""
        del generator
        epoch = Epoch(Gradient(), self.step_size, self.restart, self.safeguard)
        start, _, course = epoch.begin(blocks, x, state.course)
        diagonal = blocks.curvature(start.x) if self.base == "curvature" else None
        weights = state.smoothness if diagonal is None else diagonal
        rule = StepRule(lambda g: g / weights, lambda g: g / weights, weights)
        x, course = epoch.go(blocks, rule, course, order)
        return x, SVRGState(state.smoothness, course)
