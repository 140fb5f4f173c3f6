"""sEM-vr in the space of parameters: stochastic EM with variance reduced against a snapshot (Paul 2024, alg. 4)."""

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
from cryorbit.optim.snapshots import Residual
from cryorbit.optim.variance_reduction import Course, Epoch, StepRule


@dataclass(frozen=True, slots=True)
class SEMVR(Checked):
    """``x <- x - eta ((x - psi_k(x)) + psi_k(x~) - Psi(x~))``: SVRG on the residual of EM.

    Attributes
    ----------
    step_size
        eta; 1 is a full EM step.
    restart
        Where an epoch ends: at the "last" iterate, or at the "average" as in Paul 2024, which wastes half of it.
    safeguard
        Whether an epoch that raises the objective is taken back.
    batch_size
        Terms in a mini-batch.
    """

    step_size: Positive = 1.0
    restart: Literal["last", "average"] = "last"
    safeguard: Safeguard = field(default_factory=Safeguard)
    batch_size: Count | None = 100
    unit_free: ClassVar[bool] = True

    def init(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> Course:
        """No snapshot."""
        del blocks, x
        return Course()

    def step(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        state: Course,
        order: Sequence[int],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "*shape"], Course]:
        """An epoch: one pass for the snapshot, then a step a block."""
        del generator
        epoch = Epoch(Residual(), self.step_size, self.restart, self.safeguard)
        _, _, course = epoch.begin(blocks, x, state)
        return epoch.go(blocks, StepRule(lambda r: r, lambda r: r, x.new_ones(())), course, order)
