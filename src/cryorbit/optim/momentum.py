"""Stochastic gradient steps that remember their direction: classical momentum, and that of Nesterov."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.blocks import Blocks
from cryorbit.optim.ranges import Count, Kept, NotNegative, Positive
from cryorbit.optim.schedules import annealed, growing_momentum
from cryorbit.optim.settings import Checked
from cryorbit.optim.smoothness import find_smoothness
from cryorbit.optim.strides import Strides


@dataclass(frozen=True, slots=True)
class MomentumState:
    """Velocity, the smoothness found at the start, the number of steps so far, and how they lay."""

    velocity: Float[Tensor, "*shape"]
    smoothness: Float[Tensor, ""]
    steps: int = 0
    strides: Strides = field(default_factory=Strides)


@dataclass(frozen=True, slots=True)
class Momentum(Checked):
    """``u <- mu_t u - eta_t g(x)``, ``x <- x + u`` (Punjani & Brubaker 2015).

    Attributes
    ----------
    step_size
        First eta in units of 1/L.
    rate
        Whether eta is the length of each step ("step", as published), or of what a gradient adds up to in the long run
        ("long-run"): eta is then multiplied by ``1 - mu_t``, and steps in one direction are as long as plain ones.
    momentum
        Largest mu.
    schedule
        Whether mu grows to it from 0.5 ("growing"), is the same from the second step on ("constant": there is no
        velocity before the first), or from the first ("fixed"), which "long-run" then shortens, too.
    decay, power
        How steps become shorter: ``eta_t = eta_0 (1 + decay t)^-power``.
    batch_size
        Terms in a mini-batch.
    """

    step_size: Positive = 1.0
    rate: Literal["long-run", "step"] = "long-run"
    momentum: Kept = 0.9
    schedule: Literal["growing", "constant", "fixed"] = "growing"
    decay: NotNegative = 0.01
    power: NotNegative = 0.75
    batch_size: Count | None = 100
    unit_free: ClassVar[bool] = True
    ahead: ClassVar[bool] = False
    """Whether the gradient is taken where the velocity leads."""

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
        velocity, strides = state.velocity, state.strides
        for number, block in enumerate(order, start=state.steps):
            kept = self._kept(number)
            eta = self.step_size * annealed(number, self.decay, self.power) / state.smoothness
            length = eta * (1 - kept) if self.rate == "long-run" else eta
            carried = kept * velocity
            gradient = blocks.evaluate(x + carried if self.ahead else x, block).field
            velocity = carried - length * gradient
            x, strides = x + velocity, strides.with_step(velocity, gradient)
        return x, MomentumState(velocity, state.smoothness, state.steps + len(order), strides)

    def _kept(self, number: int) -> float:
        """Part of the velocity that is kept in step ``number``."""
        if self.schedule == "growing":
            return growing_momentum(number, self.momentum)
        return self.momentum if number > 0 or self.schedule == "fixed" else 0.0


@dataclass(frozen=True, slots=True)
class Nesterov(Momentum):
    """``u <- mu_t u - eta_t g(x + mu_t u)``, ``x <- x + u`` (Punjani & Brubaker 2015); settings as of `Momentum`."""

    ahead: ClassVar[bool] = True
