"""Anderson acceleration of EM: the next point is made of the last few points and their images (Anderson 1965)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.blocks import Blocks
from cryorbit.optim.limited_memory import Memory
from cryorbit.optim.ranges import Count
from cryorbit.optim.safeguards import Interventions, Safeguard
from cryorbit.optim.settings import Checked

RIDGE = 1e-10
"""Relative ridge of the least-squares problem."""


@dataclass(frozen=True, slots=True)
class AndersonState:
    """Differences of points and of residuals; the last point that was not taken back, its image and its value."""

    memory: Memory
    x: Float[Tensor, "*shape"] | None = None
    image: Float[Tensor, "*shape"] | None = None
    value: Float[Tensor, ""] | None = None
    interventions: Interventions = field(default_factory=Interventions)


@dataclass(frozen=True, slots=True)
class Anderson(Checked):
    """``x <- Psi(x) - sum_j a_j (Psi(x_j+1) - Psi(x_j))`` with the a that minimise the mixed residual.

    A point whose value has risen is taken back, and the step before it repeated without acceleration.

    Attributes
    ----------
    memory
        Differences kept.
    safeguard
        Whether rises are taken back.
    """

    memory: Count = 5
    safeguard: Safeguard = field(default_factory=Safeguard)
    batch_size: None = None

    def init(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> AndersonState:
        """Nothing remembered."""
        del blocks
        return AndersonState(Memory.empty(x))

    def step(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        state: AndersonState,
        order: Sequence[int],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "*shape"], AndersonState]:
        """An EM step and its acceleration; one pass."""
        del generator, order
        expectation = blocks.expect(x)
        image, memory = blocks.maximise(expectation.statistics), state.memory
        if state.x is not None and state.image is not None and state.value is not None:
            if self.safeguard.refuses(expectation.value, state.value):
                count = replace(state.interventions, rises=state.interventions.rises + 1)
                return state.image, AndersonState(Memory.empty(x), interventions=count)
            change = (x - image) - (state.x - state.image)
            memory = memory.with_pair(x - state.x, change, self.memory)
        following = AndersonState(memory, x, image, expectation.value, state.interventions)
        return x - mixed(memory, x - image), following


def mixed(memory: Memory, residual: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The step ``r - sum_j a_j (dr_j - dx_j)`` with ``a = argmin |r - sum_j a_j dr_j|``."""
    if not len(memory):
        return residual
    changes, steps = memory.changes.flatten(1), memory.steps.flatten(1)
    gram = changes @ changes.mT
    ridge = RIDGE * gram.diagonal().sum() * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    # at convergence the differences vanish, and the ridge with them
    weights = torch.linalg.pinv(gram + ridge, hermitian=True) @ (changes @ residual.flatten())
    return residual - (weights @ (changes - steps)).view_as(residual)
