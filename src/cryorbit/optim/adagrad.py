"""AdaGrad: every coordinate has a step length of its own, from the gradients it has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.blocks import Blocks
from cryorbit.optim.ranges import Count, Positive
from cryorbit.optim.settings import Checked
from cryorbit.optim.smoothness import find_smoothness
from cryorbit.optim.strides import Strides

TINY = 1e-8
"""Added to the root of the sum: a coordinate that has seen no gradient is not divided by zero."""


@dataclass(frozen=True, slots=True)
class AdaGradState:
    """Sum of squared gradients, the length of the first step, and how steps lay."""

    squares: Float[Tensor, "*shape"]
    length: Float[Tensor, ""]
    strides: Strides = field(default_factory=Strides)


@dataclass(frozen=True, slots=True)
class AdaGrad(Checked):
    """``A <- A + g^2``, ``x <- x - eta g / sqrt(A)`` (Duchi, Hazan & Singer 2011).

    Attributes
    ----------
    step_size
        eta in units of the root mean square of ``g / L`` at the start, L the smoothness there: that of a first step as
        long as one of plain gradients.
    batch_size
        Terms in a mini-batch.
    """

    step_size: Positive = 5.0
    batch_size: Count | None = 100

    def init(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> AdaGradState:
        """Measure the gradient and the smoothness of a block at the start."""
        gradient = blocks.evaluate(x, 0).field
        length = self.step_size * gradient.square().mean().sqrt() / find_smoothness(blocks, x)
        return AdaGradState(torch.zeros_like(x), length)

    def step(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        state: AdaGradState,
        order: Sequence[int],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "*shape"], AdaGradState]:
        """A step a block."""
        del generator
        squares, strides = state.squares, state.strides
        for block in order:
            gradient = blocks.evaluate(x, block).field
            squares = squares + gradient**2
            step = -state.length * gradient / (squares.sqrt() + TINY)
            x, strides = x + step, strides.with_step(step, gradient)
        return x, AdaGradState(squares, state.length, strides)
