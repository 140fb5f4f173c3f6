"""Hessian-free optimisation: truncated Newton steps by conjugate gradients on mini-batches (Martens 2010)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.blocks import Blocks
from cryorbit.optim.smoothness import find_smoothness


@dataclass(frozen=True, slots=True)
class HessianFreeState:
    """Damping of the next step, the last step (where conjugate gradients start from)."""

    damping: Float[Tensor, ""]
    last: Float[Tensor, "*shape"]


@dataclass(frozen=True, slots=True)
class HessianFree:
    """``x <- x + p`` with ``(H + d I) p = -g`` solved approximately, if that descends; d by the rule of Levenberg.

    Attributes
    ----------
    iterations
        Of conjugate gradients a step.
    damping
        First d in units of L.
    carry
        Factor on the last step as the start of conjugate gradients.
    batch_size
        Terms in a mini-batch.
    """

    iterations: int = 5
    damping: float = 0.1
    carry: float = 0.95
    batch_size: int | None = 300

    def init(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> HessianFreeState:
        """Find the scale of the damping."""
        return HessianFreeState(self.damping * find_smoothness(blocks, x), torch.zeros_like(x))

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
        step, product = self._solve(blocks, x, here.field, state, block)
        predicted = (here.field * step).sum() + 0.5 * (step * product).sum()
        actual = blocks.evaluate(x + step, block).value - here.value
        ratio = actual / predicted if predicted < 0 else torch.zeros_like(predicted)
        damping = state.damping * (1.5 if not ratio >= 0.25 else 2 / 3 if ratio > 0.75 else 1.0)
        if actual < 0:
            return x + step, HessianFreeState(damping, step)
        return x, HessianFreeState(damping, torch.zeros_like(step))

    def _solve(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        gradient: Float[Tensor, "*shape"],
        state: HessianFreeState,
        block: int,
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        """The step after some iterations of conjugate gradients, and the undamped Hessian times it.

        Ends early in a direction of negative curvature.
        """
        step = self.carry * state.last
        product = blocks.hessian_vector(x, step, block) if step.any() else torch.zeros_like(step)
        residual = -gradient - product - state.damping * step
        search, squared = residual, (residual**2).sum()
        for _ in range(self.iterations):
            if squared == 0:
                break
            image = blocks.hessian_vector(x, search, block)
            curvature = (search * (image + state.damping * search)).sum()
            if curvature <= 0:
                break
            length = squared / curvature
            step, product = step + length * search, product + length * image
            residual = residual - length * (image + state.damping * search)
            before, squared = squared, (residual**2).sum()
            search = residual + squared / before * search
        return step, product
