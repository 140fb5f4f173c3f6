"""Hessian-free optimisation: truncated Newton steps by conjugate gradients on mini-batches (Martens 2010)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.blocks import Blocks
from cryorbit.optim.ranges import Count, Kept, NotNegative, Positive
from cryorbit.optim.schedules import annealed
from cryorbit.optim.settings import Checked
from cryorbit.optim.smoothness import find_smoothness


@dataclass(frozen=True, slots=True)
class HessianFreeState:
    """Damping of the next step, smoothness at the start, and the number of steps so far."""

    damping: Float[Tensor, ""]
    smoothness: Float[Tensor, ""]
    steps: int = 0


@dataclass(frozen=True, slots=True)
class HessianFree(Checked):
    """``x <- x + p`` with ``(H + d I) p = -g`` solved approximately, if that descends; d by the rule of Levenberg.

    A mini-batch's Hessian is that of its own noise, too. So d is never below a value that grows as steps of other
    methods shrink; and where poses are undecided, which makes curvature negative without bound, curvature is taken as
    zero, so that a step is at most that of plain gradients of length ``1 / d``.

    Attributes
    ----------
    iterations
        Of conjugate gradients a step, at most.
    tolerance
        Part of the gradient that the solution may leave; 0: all iterations are made.
    damping
        Least d at first, in units of L.
    decay, power
        How it grows: ``(1 + decay t)^power``.
    batch_size
        Terms in a mini-batch.
    """

    iterations: Count = 5
    tolerance: Kept = 0.3
    damping: Positive = 1.0
    decay: NotNegative = 0.01
    power: NotNegative = 0.75
    batch_size: Count | None = 100

    def init(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> HessianFreeState:
        """Find the scale of the damping."""
        smoothness = find_smoothness(blocks, x)
        return HessianFreeState(self.damping * smoothness, smoothness)

    def step(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        state: HessianFreeState,
        order: Sequence[int],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "*shape"], HessianFreeState]:
        """A step a block."""
        del generator
        for block in order:
            x, state = self._one(blocks, x, state, block)
        return x, state

    def _one(
        self, blocks: Blocks, x: Float[Tensor, "*shape"], state: HessianFreeState, block: int
    ) -> tuple[Float[Tensor, "*shape"], HessianFreeState]:
        here = blocks.evaluate(x, block)
        step, product = self._solve(blocks, x, here.field, state.damping, block)
        predicted = (here.field * step).sum() + 0.5 * (step * product).sum()
        actual = blocks.evaluate(x + step, block).value - here.value
        # a model that foresees no fall is no measure of what came: the step counts as a bad one
        ratio = actual / predicted if predicted < 0 else torch.zeros_like(predicted)
        # thresholds and factors of Martens (2010); a ratio that is no number counts as a bad one
        trusted = state.damping * (1.5 if not ratio >= 0.25 else 2 / 3 if ratio > 0.75 else 1.0)
        least = self.damping / annealed(state.steps, self.decay, self.power) * state.smoothness
        following = HessianFreeState(torch.maximum(trusted, least), state.smoothness, state.steps + 1)
        return (x + step if actual < 0 else x), following

    def _solve(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        gradient: Float[Tensor, "*shape"],
        damping: Float[Tensor, ""],
        block: int,
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        """The step after some iterations of conjugate gradients, and the undamped Hessian times it.

        Ends early where little is left, and after a direction of negative curvature.
        """
        step, product = torch.zeros_like(gradient), torch.zeros_like(gradient)
        residual = -gradient
        search, squared = residual, (residual**2).sum()
        enough = self.tolerance**2 * squared
        for _ in range(self.iterations):
            if squared <= enough:
                break
            image = blocks.hessian_vector(x, search, block)
            plain = damping * (search**2).sum()
            curvature = (search * image).sum()
            length = squared / (plain + curvature.clamp_min(0))
            step, product = step + length * search, product + length * image
            if curvature < 0:
                break
            residual = residual - length * (image + damping * search)
            before, squared = squared, (residual**2).sum()
            search = residual + squared / before * search
        return step, product
