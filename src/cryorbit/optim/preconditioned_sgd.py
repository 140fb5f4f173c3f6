"""Stochastic gradients divided by the diagonal of the Hessian, with a step searched for by the rule of Armijo.

Algorithm 1 of Toader, Brubaker & Lederman (2025). The diagonal is estimated by Hutchinson's probes ``E[z * (H z)]``,
with random signs z, or is the oracle's own curvature. The published settings are ``growth`` 1.2, ``descent`` 0.99,
``longest`` 10 and a constant floor; its probes count as evaluations, one of each term a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.armijo import Ray, backtrack
from cryorbit.optim.blocks import Blocks
from cryorbit.optim.floors import Floor, PartOfLargest
from cryorbit.optim.ranges import Count, Factor, Inner, Kept, Positive
from cryorbit.optim.settings import Checked


@dataclass(frozen=True, slots=True)
class PreconditionedState:
    """Diagonal in use, mean of all probes, number of probes, and the step length."""

    diagonal: Float[Tensor, "*shape"]
    mean_probe: Float[Tensor, "*shape"]
    probes: int = 0
    length: float = 1.0


@dataclass(frozen=True, slots=True)
class PreconditionedSGD(Checked):
    """``x <- x - eta g / max(|D|, floor)``.

    A step is as long as one mini-batch allows, so the noise of mini-batches stays in x. The larger ``descent``, the
    shorter the steps, and the less of it: 0.5 is for terms that share a minimum, 0.99 for noisy ones.

    Attributes
    ----------
    diagonal
        "oracle" asks for its curvature, "probes" estimates.
    forget
        Weight of the old diagonal when the mean of the probes is mixed in.
    floor
        Keeps the curvature from vanishing.
    growth, descent
        Of the line search: factor on eta before it, and share of the linear decrease that is asked for.
    longest
        Longest eta, where every epoch begins.
    batch_size
        Terms in a mini-batch.
    """

    diagonal: Literal["oracle", "probes"] = "probes"
    forget: Kept = 0.9
    floor: Floor = field(default_factory=PartOfLargest)
    growth: Factor = 1.2
    descent: Inner = 0.5
    longest: Positive = 1.0
    batch_size: Count | None = 100

    def init(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> PreconditionedState:
        """A flat diagonal."""
        del blocks
        return PreconditionedState(torch.ones_like(x), torch.zeros_like(x))

    def step(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        state: PreconditionedState,
        order: Sequence[int],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "*shape"], PreconditionedState]:
        """A step a block."""
        length = self.longest
        for block in order:
            state = self._learn(blocks, x, state, block, generator)
            here = blocks.evaluate(x, block)
            direction = here.field / self.floor(state.diagonal.abs())
            ray = Ray(x, here.value, here.field, direction)
            x, length = backtrack(blocks, block, ray, self.growth * length, self.descent)
        return x, PreconditionedState(state.diagonal, state.mean_probe, state.probes, length)

    def _learn(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        state: PreconditionedState,
        block: int,
        generator: torch.Generator,
    ) -> PreconditionedState:
        known = blocks.curvature(x) if self.diagonal == "oracle" else None
        if known is not None:
            return PreconditionedState(known, state.mean_probe, state.probes, state.length)
        signs = 2.0 * torch.randint(2, x.shape, generator=generator).to(x) - 1.0
        probe = signs * blocks.hessian_vector(x, signs, block)
        count = state.probes + 1
        mean = state.mean_probe + (probe - state.mean_probe) / count
        # the first probe replaces the flat start, whose scale means nothing
        old = mean if state.probes == 0 else state.diagonal
        return PreconditionedState(self.forget * old + (1 - self.forget) * mean, mean, count, state.length)
