"""Stochastic gradient descent with annealed steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.blocks import Blocks
from cryorbit.optim.ranges import Count, NotNegative, Positive
from cryorbit.optim.schedules import annealed
from cryorbit.optim.settings import Checked
from cryorbit.optim.smoothness import find_smoothness
from cryorbit.optim.strides import Strides


@dataclass(frozen=True, slots=True)
class SGDState:
    """The smoothness found at the start, the number of steps so far, and how they lay."""

    smoothness: Float[Tensor, ""]
    steps: int = 0
    strides: Strides = field(default_factory=Strides)


@dataclass(frozen=True, slots=True)
class SGD(Checked):
    """``x <- x - eta_t g_t`` with ``eta_t = step_size / L (1 + decay t)^-power`` (Punjani & Brubaker 2015).

    Attributes
    ----------
    step_size
        Length of the first step in units of 1/L, L the smoothness of a block at the start.
    decay, power
        How steps become shorter.
    batch_size
        Terms in a mini-batch.
    """

    step_size: Positive = 1.0
    decay: NotNegative = 0.01
    power: NotNegative = 0.75
    batch_size: Count | None = 100
    unit_free: ClassVar[bool] = True

    def init(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> SGDState:
        """Find the smoothness."""
        return SGDState(find_smoothness(blocks, x))

    def step(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        state: SGDState,
        order: Sequence[int],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "*shape"], SGDState]:
        """A step a block."""
        del generator
        strides = state.strides
        for number, block in enumerate(order, start=state.steps):
            length = self.step_size * annealed(number, self.decay, self.power) / state.smoothness
            gradient = blocks.evaluate(x, block).field
            step = -length * gradient
            x, strides = x + step, strides.with_step(step, gradient)
        return x, SGDState(state.smoothness, state.steps + len(order), strides)
