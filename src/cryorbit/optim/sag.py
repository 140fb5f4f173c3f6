"""Stochastic average gradients: the last gradient of every block is kept, and their mean is the direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.blocks import Blocks
from cryorbit.optim.ranges import Count, Positive
from cryorbit.optim.settings import Checked
from cryorbit.optim.smoothness import find_smoothness


@dataclass(frozen=True, slots=True)
class SAGState:
    """Last gradient of every block (zero before its first), how many blocks were seen, smoothness at the start."""

    table: Float[Tensor, " m *shape"]
    seen: Float[Tensor, " m"]
    smoothness: Float[Tensor, ""]

    def mean(self) -> Float[Tensor, "*shape"]:
        """Mean over the blocks seen so far."""
        # before the first block the table is empty, and its mean zero
        return self.table.sum(0) / self.seen.sum().clamp_min(1.0)

    def updated(self, block: int, gradient: Float[Tensor, "*shape"]) -> SAGState:
        """The state with a new gradient of a block."""
        # copies: whoever holds the old state may go on from it
        table, seen = self.table.clone(), self.seen.clone()
        table[block], seen[block] = gradient, 1.0
        return SAGState(table, seen, self.smoothness)


@dataclass(frozen=True, slots=True)
class SAG(Checked):
    """``x <- x - eta mean(table)`` after the entry of one block was renewed (Schmidt, Le Roux & Bach 2017).

    Attributes
    ----------
    step_size
        eta in units of 1/L; the theory asks for 1/16.
    batch_size
        Terms in a block.
    """

    step_size: Positive = 1 / 16
    batch_size: Count | None = 100
    unit_free: ClassVar[bool] = True

    def init(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> SAGState:
        """An empty table."""
        return empty_table(blocks, x)

    def step(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        state: SAGState,
        order: Sequence[int],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "*shape"], SAGState]:
        """A step a block."""
        del generator
        for block in order:
            state = state.updated(block, blocks.evaluate(x, block).field)
            x = x - self.step_size / state.smoothness * state.mean()
        return x, state


@dataclass(frozen=True, slots=True)
class SAGA(Checked):
    """``x <- x - eta (g_new - g_old + mean(table))``, which is unbiased (Defazio, Bach & Lacoste-Julien 2014).

    Attributes
    ----------
    step_size
        eta in units of 1/L; the theory asks for 1/3.
    batch_size
        Terms in a block.
    """

    step_size: Positive = 1 / 3
    batch_size: Count | None = 100
    unit_free: ClassVar[bool] = True

    def init(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> SAGState:
        """An empty table."""
        return empty_table(blocks, x)

    def step(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        state: SAGState,
        order: Sequence[int],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "*shape"], SAGState]:
        """A step a block; one that was never seen contributes its gradient alone."""
        del generator
        for block in order:
            gradient = blocks.evaluate(x, block).field
            kept = state.mean() - state.table[block] if state.seen[block] else torch.zeros_like(x)
            x = x - self.step_size / state.smoothness * (gradient + kept)
            state = state.updated(block, gradient)
        return x, state


def empty_table(blocks: Blocks, x: Float[Tensor, "*shape"]) -> SAGState:
    """A table without entries, and the smoothness."""
    count = blocks.count
    return SAGState(x.new_zeros(count, *x.shape), x.new_zeros(count), find_smoothness(blocks, x))
