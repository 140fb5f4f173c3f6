"""Online L-BFGS: inverse curvature from differences of gradients on the same mini-batch (Schraudolph et al. 2007)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.blocks import Blocks
from cryorbit.optim.limited_memory import InverseHessian, Memory
from cryorbit.optim.ranges import Count, NotNegative, Positive
from cryorbit.optim.safeguards import Interventions, Safeguard
from cryorbit.optim.schedules import annealed
from cryorbit.optim.settings import Checked
from cryorbit.optim.smoothness import find_smoothness
from cryorbit.optim.strides import Strides


@dataclass(frozen=True, slots=True)
class OnlineLBFGSState:
    """Secant pairs, smoothness at the start, number of steps so far, what the safeguard did, how steps lay."""

    memory: Memory
    smoothness: Float[Tensor, ""]
    steps: int = 0
    interventions: Interventions = field(default_factory=Interventions)
    strides: Strides = field(default_factory=Strides)


@dataclass(frozen=True, slots=True)
class OnlineLBFGS(Checked):
    """``x <- x - eta_t H g_t``; two gradients a step.

    A pair counts if its curvature is positive once it is damped: undecided poses bring curvatures below zero, and the
    damped change is what H is made of. Damping bounds H where a mini-batch has next to no curvature. The published form
    is that without the safeguard; its first step, of which the paper says that it is to be small, is here one of plain
    gradients.

    Attributes
    ----------
    step_size
        First eta; 1 is a full quasi-Newton step.
    memory
        Secant pairs kept.
    damping
        ``lambda`` in ``y = g(x_new) - g(x) + lambda s``, in units of L.
    decay, power
        How steps become shorter: ``eta_t = eta_0 (1 + decay t)^-power``.
    safeguard
        Which pairs and steps are refused; inactive as published.
    batch_size
        Terms in a mini-batch.
    """

    step_size: Positive = 1.0
    memory: Count = 30
    damping: NotNegative = 0.5
    decay: NotNegative = 0.01
    power: NotNegative = 0.75
    safeguard: Safeguard = field(default_factory=Safeguard)
    batch_size: Count | None = 100

    def init(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> OnlineLBFGSState:
        """No pairs."""
        return OnlineLBFGSState(Memory.empty(x), find_smoothness(blocks, x))

    def step(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        state: OnlineLBFGSState,
        order: Sequence[int],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "*shape"], OnlineLBFGSState]:
        """A step a block."""
        del generator
        memory, count, strides, one = state.memory, state.interventions, state.strides, x.new_ones(())
        for number, block in enumerate(order, start=state.steps):
            gradient = blocks.evaluate(x, block).field
            base = self._base(memory, state.smoothness)
            wanted = InverseHessian.of(memory, base, one)(gradient)
            direction, count = self.safeguard.limit(wanted, gradient * base, one, count)
            step = -self.step_size * annealed(number, self.decay, self.power) * direction
            x, strides = x + step, strides.with_step(step, gradient)
            change = blocks.evaluate(x, block).field - gradient
            damped = change + self.damping * state.smoothness * step
            if (step * damped).sum() > 0 and self.safeguard.trusts(step, damped, one):
                memory = memory.with_pair(step, damped, self.memory)
            else:
                count = replace(count, pairs=count.pairs + 1)
        return x, OnlineLBFGSState(memory, state.smoothness, state.steps + len(order), count, strides)

    def _base(self, memory: Memory, smoothness: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """Mean of ``s.y / y.y`` over the pairs: the inverse curvature without any pair."""
        if not len(memory):
            return 1 / smoothness
        steps, changes = memory.steps.flatten(1), memory.changes.flatten(1)
        return ((steps * changes).sum(1) / (changes**2).sum(1)).mean()
