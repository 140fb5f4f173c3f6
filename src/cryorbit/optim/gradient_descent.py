"""Gradient descent with a constant step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.blocks import Blocks
from cryorbit.optim.ranges import Positive
from cryorbit.optim.settings import Checked
from cryorbit.optim.smoothness import find_smoothness


@dataclass(frozen=True, slots=True)
class DescentState:
    """The smoothness found at the start."""

    smoothness: Float[Tensor, ""]


@dataclass(frozen=True, slots=True)
class GradientDescent(Checked):
    """``x <- x - step_size g / L`` with the gradient of all terms.

    Attributes
    ----------
    step_size
        Length of a step in units of 1/L, L the smoothness at the start.
    """

    step_size: Positive = 1.0
    batch_size: None = None

    def init(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> DescentState:
        """Find the smoothness."""
        return DescentState(find_smoothness(blocks, x, None))

    def step(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        state: DescentState,
        order: Sequence[int],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "*shape"], DescentState]:
        """A step a block, of which there is one."""
        del generator
        for block in order:
            x = x - self.step_size / state.smoothness * blocks.evaluate(x, block).field
        return x, state
