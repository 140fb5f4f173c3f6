"""What a runner asks of an optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar, get_type_hints, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.optim.blocks import Blocks

State = TypeVar("State")


@runtime_checkable
class Method(Protocol[State]):
    """An optimiser: immutable settings; what changes is its state, a frozen dataclass of tensors and numbers.

    A class with ``unit_free`` true takes the same course in every unit of the unknown: it does not compare values with
    fields.
    """

    @property
    def batch_size(self) -> int | None:
        """Terms in a block of the sum; None for all terms in one block."""
        ...

    def init(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> State:
        """State before the first step from ``x``."""
        ...

    def step(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        state: State,
        order: Sequence[int],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "*shape"], State]:
        """Work through the blocks ``order`` (an epoch, if that is all of them once); the new unknown and state."""
        ...


def state_kind(method: Method[State]) -> type[State]:
    """The class of a method's state, as its ``init`` says.

    Raises
    ------
    InputError
        It does not say.
    """
    kind = get_type_hints(type(method).init).get("return")
    if not isinstance(kind, type):
        name = type(method).__name__
        raise InputError(f"{name}.init names no class of its state", fix="annotate what it returns: -> MyState")
    return kind
