"""A minimisation in stretches: parts of an epoch, after each of which the caller may look, save or stop.

``optim.minimise`` runs a method to its end and evaluates the whole sum after every epoch; where a sum is so dear that a
few epochs are all there is, one looks at terms held out instead, several times an epoch. Whatever is random is drawn
from numbers (the seed, the epoch, the stretch) and not from a generator that lives on, so the unknown, the method's
state and three counts are all that a run needs to go on to the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.records import unpack
from cryorbit.core.seeds import generator_for
from cryorbit.optim.blocks import Blocks
from cryorbit.optim.carrying import keeps_snapshot
from cryorbit.optim.method import Method, state_kind
from cryorbit.optim.protocols import Oracle


@dataclass(frozen=True, slots=True)
class Position:
    """Where a minimisation stands between two stretches.

    Attributes
    ----------
    x
        The unknown.
    state
        The method's state.
    epoch, stretch
        What comes next.
    evaluations
        Of single terms so far.
    """

    x: Float[Tensor, "*shape"]
    state: Any
    epoch: int = 0
    stretch: int = 0
    evaluations: int = 0


class Stretches:
    """A method on a finite sum, to be advanced stretch by stretch.

    Parameters
    ----------
    oracle
        The finite sum.
    method
        How to minimise it.
    seed
        Determines the blocks, their order (the same for all methods with blocks of one size), and the method's draws.
    parts
        Stretches an epoch. A method whose epochs begin with a snapshot of all terms has one: to divide its epochs would
        be another method.
    """

    def __init__(self, oracle: Oracle, method: Method[Any], seed: int, parts: int) -> None:
        self._method = method
        self._seed = seed
        self._parts = parts
        self._blocks = Blocks(oracle, method.batch_size, generator_for(seed, "mini-batches"))

    def begin(self, x: Float[Tensor, "*shape"]) -> Position:
        """The position before the first stretch from ``x``; what the method looks at before it is counted."""
        self._blocks.evaluations = 0
        state = self._method.init(self._blocks, x)
        return Position(x, state, evaluations=self._blocks.evaluations)

    def advance(self, position: Position) -> Position:
        """Work through the next stretch."""
        count = self._blocks.count
        parts = 1 if keeps_snapshot(position.state) else min(self._parts, count)
        order = torch.randperm(count, generator=generator_for(self._seed, "order of mini-batches", position.epoch))
        mine = order.tensor_split(parts)[position.stretch].tolist()
        generator = generator_for(self._seed, "optimiser", position.epoch, position.stretch)
        # a run that was interrupted counts on from its position
        self._blocks.evaluations = position.evaluations
        x, state = self._method.step(self._blocks, position.x, position.state, mine, generator)
        over = position.stretch + 1 == parts
        epoch, stretch = (position.epoch + 1, 0) if over else (position.epoch, position.stretch + 1)
        return Position(x, state, epoch, stretch, self._blocks.evaluations)


def unpack_position(packed: dict[str, Any], method: Method[Any], like: Tensor) -> Position:
    """The position that ``core.records.pack`` took apart, on the device of ``like``.

    Raises
    ------
    InputError
        The method's ``init`` does not say what its state is.
    """
    state = unpack(state_kind(method), packed["state"], like.device)
    return Position(**{**packed, "x": packed["x"].to(like.device), "state": state})
