"""Secant pairs learned under a safeguard."""

from __future__ import annotations

from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.limited_memory import Memory
from cryorbit.optim.safeguards import Interventions, Safeguard


def learn_secant(
    memory: Memory,
    pair: tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]],
    metric: Float[Tensor, "*#shape"],
    safeguard: Safeguard,
    size: int,
    count: Interventions,
) -> tuple[Memory, Interventions]:
    """The newest ``size`` pairs with this one, unless the safeguard refuses it; the count of interventions."""
    if not safeguard.trusts(*pair, metric):
        return memory, replace(count, pairs=count.pairs + 1)
    return memory.with_pair(*pair, size), count
