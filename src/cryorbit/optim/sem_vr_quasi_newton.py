"""sEM-vr+QN: sEM-vr times an inverse Jacobian of the EM residual, learned from the snapshots.

Paul 2024 (algorithm 5) prints the secant ``y = Psi(x~) - Psi(x~_old)``. The quantity in the place of the gradient is
the residual ``r(x) = x - Psi(x)``, so the secant that belongs there is ``y = r(x~) - r(x~_old) = s - (Psi(x~) -
Psi(x~_old))``: with the printed one, H approaches the inverse Jacobian of ``Psi``, about 1 where EM is slow and huge
where it is fast. The Jacobian of r is not symmetric either, but it is so in the inner product weighted by the
complete-data information; with the BFGS formula in that product, the method converges.
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
from cryorbit.optim.snapshots import Residual, Snapshot
from cryorbit.optim.variance_reduction import Course, Epoch, StepRule


@dataclass(frozen=True, slots=True)
class QuasiNewtonEMState:
    """Secant pairs, and what is kept from epoch to epoch."""

    memory: Memory
    course: Course = field(default_factory=Course)


@dataclass(frozen=True, slots=True)
class SEMVRQuasiNewton(Checked):
    """``x <- x - eta H (r_k(x) - r_k(x~) + r(x~))`` with H from differences of snapshots and their residuals.

    Attributes
    ----------
    step_size
        eta; 1 is a full quasi-Newton step.
    memory
        Secant pairs kept.
    secant
        "corrected", the change of the residual, or "printed", the change of ``Psi``, which diverges.
    product
        Inner product of the BFGS formula: weighted by the oracle's "curvature" where it has one, or "euclidean".
    restart
        Where an epoch ends: at the "last" iterate, or at the "average" as in Paul 2024.
    safeguard
        Which pairs, steps and epochs are refused.
    batch_size
        Terms in a mini-batch.
    """

    step_size: Positive = 0.3
    memory: Count = 20
    secant: Literal["corrected", "printed"] = "corrected"
    product: Literal["curvature", "euclidean"] = "curvature"
    restart: Literal["last", "average"] = "last"
    safeguard: Safeguard = field(default_factory=Safeguard)
    batch_size: Count | None = 300

    def init(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> QuasiNewtonEMState:
        """No pairs."""
        del blocks
        # after a second rise in a row what was learned is not to be trusted
        return QuasiNewtonEMState(Memory.empty(x))

    def step(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        state: QuasiNewtonEMState,
        order: Sequence[int],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "*shape"], QuasiNewtonEMState]:
        """An epoch: one pass for the snapshot, then a step a block."""
        del generator
        epoch = Epoch(Residual(), self.step_size, self.restart, self.safeguard)
        old = state.course.snapshot
        start, taken, course = epoch.begin(blocks, x, state.course)
        diagonal = blocks.curvature(start.x) if self.product == "curvature" else None
        weights = x.new_ones(()) if diagonal is None else diagonal
        memory, count = state.memory, course.interventions
        if old is not None:
            pair = self._pair(old, taken)
            memory, count = learn_secant(memory, pair, weights, self.safeguard, self.memory, count)
        # pairs were checked under the weights of their own snapshot: under these some may curve the other way
        used = memory.positive(weights) if self.safeguard.active else memory
        rule = StepRule(lambda r: r, InverseHessian.of(used, torch.ones_like(weights), weights), weights)
        x, course = epoch.go(blocks, rule, replace(course, interventions=count), order)
        return x, QuasiNewtonEMState(Memory.empty(x) if course.rises > 1 else memory, course)

    def _pair(self, old: Snapshot, new: Snapshot) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        step, change = new.x - old.x, new.field - old.field
        return step, step - change if self.secant == "printed" else change
