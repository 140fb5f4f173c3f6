"""Expectation maximisation on all terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.blocks import Blocks
from cryorbit.optim.settings import Checked


@dataclass(frozen=True, slots=True)
class NoState:
    """Nothing to keep."""


@dataclass(frozen=True, slots=True)
class EM(Checked):
    """``x <- Psi(x)``: the objective never rises (Dempster, Laird & Rubin 1977)."""

    batch_size: None = None
    unit_free: ClassVar[bool] = True

    def init(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> NoState:
        """Nothing."""
        del blocks, x
        return NoState()

    def step(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        state: NoState,
        order: Sequence[int],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "*shape"], NoState]:
        """An E-step and an M-step a block, of which there is one."""
        del generator
        for block in order:
            x = blocks.maximise(blocks.expect(x, block).statistics)
        return x, state
