"""A method's state carried from one finite sum to the next: one with a finer box, another centre, other terms.

A state holds the unknown's like: velocities, gradients, secant pairs, squares. Whatever is done to the unknown between
two sums is done to them; what is known of single terms, and snapshots of a whole sum, mean nothing in another sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeAlias, TypeVar

from torch import Tensor

from cryorbit.core.records import unpack
from cryorbit.optim.blocks import Blocks
from cryorbit.optim.method import Method, state_kind

State = TypeVar("State")
Change: TypeAlias = tuple[tuple[int, ...], Callable[[Tensor], Tensor]]


def carried(state: State, shape: tuple[int, ...], change: Callable[[Tensor], Tensor]) -> State:
    """The state with ``change`` done to all tensors that end in the unknown's ``shape``; it keeps leading axes."""
    changed: dict[str, Any] = {
        each.name: _carried(getattr(state, each.name), shape, change)
        for each in fields(state)  # type: ignore[arg-type]
    }
    return replace(state, **changed)  # type: ignore[type-var]


def resumed(
    method: Method[State], packed: Mapping[str, Any] | None, blocks: Blocks, x: Tensor, change: Change
) -> State:
    """The state before a method's next step from ``x`` on another sum: its last one carried over, or a first one.

    Parameters
    ----------
    method, packed
        The method, and what its last state was packed to; None before its first step.
    blocks, x
        The sum, and the unknown in its shape now.
    change
        The unknown's shape at the last step, and what has been done to it since.
    """
    state = None if packed is None else unpack(state_kind(method), packed, x.device)
    return method.init(blocks, x) if state is None or bound_to_terms(state) else carried(state, *change)


def remembers_terms(method: Method[Any], packed: Mapping[str, Any] | None) -> bool:
    """Whether a method's last state, packed, is bound to the terms of its sum."""
    return packed is not None and bound_to_terms(unpack(state_kind(method), packed))


def keeps_snapshot(state: object) -> bool:
    """Whether a state holds what is known of all terms at one point, as those of variance reduction do."""
    return hasattr(state, "course") or hasattr(state, "snapshot")


def bound_to_terms(state: object) -> bool:
    """Whether a state holds what is known of single terms, or of all at one point: nothing that another sum has."""
    return keeps_snapshot(state) or hasattr(state, "table")


def _carried(value: Any, shape: tuple[int, ...], change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value) if value.shape[-len(shape) :] == shape else value
    return carried(value, shape, change) if is_dataclass(value) else value
