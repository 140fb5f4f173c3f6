"""SVRG+II: variance-reduced gradients times an inverse Hessian learned from the snapshots (Kolte et al. 2015).

Paul 2024, algorithm 3, with limited memory, a scale for the first Hessian, and safeguards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.blocks import Blocks
from cryorbit.optim.limited_memory import InverseHessian, Memory
from cryorbit.optim.ranges import Count, Positive
from cryorbit.optim.safeguards import Safeguard
from cryorbit.optim.secants import learn_secant
from cryorbit.optim.settings import Checked
from cryorbit.optim.smoothness import find_smoothness
from cryorbit.optim.snapshots import Gradient
from cryorbit.optim.variance_reduction import Course, Epoch, StepRule


@dataclass(frozen=True, slots=True)
class QuasiNewtonState:
    """Smoothness at the start, secant pairs, and what is kept from epoch to epoch."""

    smoothness: Float[Tensor, ""]
    memory: Memory
    course: Course = field(default_factory=Course)


@dataclass(frozen=True, slots=True)
class SVRGQuasiNewton(Checked):
    """``x <- x - eta H (g_k(x) - g_k(x~) + g(x~))`` with H from differences of snapshots and their gradients.

    Attributes
    ----------
    step_size
        eta; 1 is a full quasi-Newton step.
    memory
        Secant pairs kept.
    base
        H without pairs: the oracle's "curvature" where it has one, or a "scalar": ``s.y / y.y`` of the last pair, 1/L
        first.
    restart
        Where an epoch ends: at the "last" iterate, or at the "average" as in Paul 2024.
    safeguard
        Which pairs, steps and epochs are refused.
    batch_size
        Terms in a mini-batch.
    """

    step_size: Positive = 0.3
    memory: Count = 20
    base: Literal["curvature", "scalar"] = "curvature"
    restart: Literal["last", "average"] = "last"
    safeguard: Safeguard = field(default_factory=Safeguard)
    batch_size: Count | None = 300

    def init(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> QuasiNewtonState:
        """Find the smoothness; no pairs."""
        return QuasiNewtonState(find_smoothness(blocks, x), Memory.empty(x))

    def step(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        state: QuasiNewtonState,
        order: Sequence[int],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "*shape"], QuasiNewtonState]:
        """An epoch: one pass for the snapshot, then a step a block."""
        del generator
        epoch = Epoch(Gradient(), self.step_size, self.restart, self.safeguard)
        old = state.course.snapshot
        start, taken, course = epoch.begin(blocks, x, state.course)
        memory, count = state.memory, course.interventions
        if old is not None:
            pair = (taken.x - old.x, taken.field - old.field)
            memory, count = learn_secant(memory, pair, x.new_ones(()), self.safeguard, self.memory, count)
        rule = self._rule(blocks, start.x, memory, state.smoothness)
        x, course = epoch.go(blocks, rule, replace(course, interventions=count), order)
        # after a second rise in a row what was learned is not to be trusted
        return x, QuasiNewtonState(state.smoothness, Memory.empty(x) if course.rises > 1 else memory, course)

    def _rule(
        self, blocks: Blocks, x: Float[Tensor, "*shape"], memory: Memory, smoothness: Float[Tensor, ""]
    ) -> StepRule:
        diagonal = blocks.curvature(x) if self.base == "curvature" else None
        if diagonal is None:
            diagonal = smoothness
            if len(memory):
                step, change = memory.steps[-1], memory.changes[-1]
                diagonal = (change**2).sum() / (step * change).sum()
        return StepRule(
            lambda g: g / diagonal, InverseHessian.of(memory, 1 / diagonal, torch.ones_like(diagonal)), diagonal
        )
