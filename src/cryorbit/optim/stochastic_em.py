"""Stochastic expectation maximisation: the M-step of a mini-batch, damped more and more (Celeux & Diebolt 1985)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.blocks import Blocks
from cryorbit.optim.ranges import Count, NotNegative, Share
from cryorbit.optim.schedules import annealed
from cryorbit.optim.settings import Checked


@dataclass(frozen=True, slots=True)
class StepCount:
    """Number of steps so far."""

    steps: int = 0


@dataclass(frozen=True, slots=True)
class StochasticEM(Checked):
    """``x <- x - eta_t (x - psi_k(x))`` with ``eta_t = step_size (1 + decay t)^-power`` (Paul 2024, equation 4.14).

    Attributes
    ----------
    step_size
        First eta.
    decay, power
        How steps become shorter.
    batch_size
        Terms in a mini-batch.
    """

    step_size: Share = 1.0
    decay: NotNegative = 0.1
    power: NotNegative = 0.75
    batch_size: Count | None = 100
    unit_free: ClassVar[bool] = True

    def init(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> StepCount:
        """No steps."""
        del blocks, x
        return StepCount()

    def step(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        state: StepCount,
        order: Sequence[int],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "*shape"], StepCount]:
        """A step a block."""
        del generator
        for number, block in enumerate(order, start=state.steps):
            target = blocks.maximise(blocks.expect(x, block).statistics)
            x = x + self.step_size * annealed(number, self.decay, self.power) * (target - x)
        return x, StepCount(state.steps + len(order))
