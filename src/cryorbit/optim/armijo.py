"""Gradient descent whose step is searched for by the rule of Armijo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.blocks import Blocks
from cryorbit.optim.ranges import Count, Factor, Inner
from cryorbit.optim.settings import Checked

SHORTEST = 2.0**-60
"""Length at which a search gives up: shorter than rounding of a step of length one in double precision, 2^-53."""


@dataclass(frozen=True, slots=True)
class StepLength:
    """Length of the last accepted step."""

    length: float = 1.0


@dataclass(frozen=True, slots=True)
class Armijo(Checked):
    """``x <- x - eta g``; eta grows every step, and is halved until ``f`` falls by ``descent * eta |g|^2``.

    Attributes
    ----------
    growth
        Factor on eta before the search.
    descent
        Share of the linear decrease that is asked for.
    batch_size
        Terms in a mini-batch; None for all.
    """

    growth: Factor = 2.0
    descent: Inner = 0.5
    batch_size: Count | None = None

    def init(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> StepLength:
        """Begin with eta = 1."""
        del blocks, x
        return StepLength()

    def step(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        state: StepLength,
        order: Sequence[int],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "*shape"], StepLength]:
        """A step a block."""
        del generator
        length = state.length
        for block in order:
            here = blocks.evaluate(x, block)
            ray = Ray(x, here.value, here.field, here.field)
            x, length = backtrack(blocks, block, ray, length * self.growth, self.descent)
        return x, StepLength(length)


@dataclass(frozen=True, slots=True)
class Ray:
    """Where a line search starts, the value and gradient there, and the direction it goes against."""

    x: Float[Tensor, "*shape"]
    value: Float[Tensor, ""]
    gradient: Float[Tensor, "*shape"]
    direction: Float[Tensor, "*shape"]


def backtrack(
    blocks: Blocks, block: int, ray: Ray, length: float, descent: float
) -> tuple[Float[Tensor, "*shape"], float]:
    """Halve the step until the block's value falls by ``descent * length * <gradient, direction>``.

    Returns the new unknown and the length; when no length will do (the value is exact to rounding), nothing moves.
    """
    slope = (ray.gradient * ray.direction).sum()
    while length > SHORTEST:
        candidate = ray.x - length * ray.direction
        if torch.equal(candidate, ray.x):
            # a step lost in rounding would pass, and its length be where the next search begins
            break
        if blocks.evaluate(candidate, block).value <= ray.value - descent * length * slope:
            return candidate, length
        length /= 2
    return ray.x, 1.0
