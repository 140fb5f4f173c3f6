"""How long a gradient step may be: the local Lipschitz constant of the gradient, found by trial."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.blocks import Blocks

TRIALS = 60
"""Doublings or halvings at most: a block without a gradient passes every trial."""


def find_smoothness(blocks: Blocks, x: Float[Tensor, "*shape"], block: int | None = 0) -> Float[Tensor, ""]:
    """A curvature L that a gradient step of length 1/L is safe with: ``f(x - g/L) <= f(x) - |g|^2 / 2L``.

    The largest diagonal curvature if the oracle has one, else the smallest power of two that fulfils the inequality
    on one block at ``x`` (Schmidt, Le Roux & Bach 2017). Each trial is one evaluation of the block.
    """
    diagonal = blocks.curvature(x)
    if diagonal is not None:
        return diagonal.max()
    start = blocks.evaluate(x, block)
    squared = (start.field**2).sum()

    def enough(curvature: float) -> bool:
        value = blocks.evaluate(x - start.field / curvature, block).value
        return bool(value <= start.value - squared / (2 * curvature))

    curvature, trials = 1.0, 0
    down = enough(curvature)
    while trials < TRIALS and enough(curvature / 2 if down else curvature * 2) == down:
        curvature, trials = curvature / 2 if down else curvature * 2, trials + 1
    return x.new_tensor(curvature if down else curvature * 2)
