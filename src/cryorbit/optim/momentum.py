"""Classical momentum: stochastic gradient steps that remember their direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.blocks import Blocks
from cryorbit.optim.ranges import Count, Kept, NotNegative, Positive
from cryorbit.optim.schedules import annealed, growing_momentum
from cryorbit.optim.settings import Checked
from cryorbit.optim.smoothness import find_smoothness


@dataclass(frozen=True, slots=True)
class MomentumState:
    """Velocity, the smoothness found at the start, and the number of steps so far."""

    velocity: Float[Tensor, "*shape"]
    smoothness: Float[Tensor, ""]
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Momentum(Checked):
    """``u <- mu_t u - eta_t g(x)``, ``x <- x + u`` (Punjani & Brubaker 2015).

    Attributes
    ----------
    step_size
        First eta in units of ``(1 - mu_t) / L``, so that steps in one direction add up to those of plain gradients.
    momentum
        Largest mu; it grows to it from 0.5.
    decay, power
        How steps become shorter: ``eta_t = eta_0 (1 + decay t)^-power``.
    batch_size
        Terms in a mini-batch.
    """

    step_size: Positive = 1.0
    momentum: Kept = 0.9
    decay: NotNegative = 0.01
    power: NotNegative = 0.75
    batch_size: Count | None = 100

    def init(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> MomentumState:
        """Start at rest."""
        return MomentumState(torch.zeros_like(x), find_smoothness(blocks, x))

    def step(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        state: MomentumState,
        order: Sequence[int],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "*shape"], MomentumState]:
        """A step a block."""
        del generator
        velocity = state.velocity
        for number, block in enumerate(order, start=state.steps):
            kept = growing_momentum(number, self.momentum)
            length = self.step_size * (1 - kept) * annealed(number, self.decay, self.power) / state.smoothness
            velocity = kept * velocity - length * blocks.evaluate(x, block).field
            x = x + velocity
        return x, MomentumState(velocity, state.smoothness, state.steps + len(order))
