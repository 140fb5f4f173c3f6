"""A method's state carried from one finite sum to the next: one with a finer box, another centre, other terms.

A state holds the unknown's like: velocities, gradients, secant pairs, squares. Whatever is done to the unknown between
two sums is done to them; what is known of single terms, and snapshots of a whole sum, mean nothing in another sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from cryorbit.core.records import unpack
from cryorbit.optim.method import Method, state_kind

State = TypeVar("State")


def carried(state: State, shape: tuple[int, ...], change: Callable[[Tensor], Tensor]) -> State:
    """The state with ``change`` done to all tensors that end in the unknown's ``shape``; it keeps leading axes."""
    changed: dict[str, Any] = {
        each.name: _carried(getattr(state, each.name), shape, change)
        for each in fields(state)  # type: ignore[arg-type]
    }
    return replace(state, **changed)  # type: ignore[type-var]


def last_state(method: Method[State], packed: Mapping[str, Any] | None, device: torch.device) -> State | None:
    """The state that a method's last step was packed to; None before its first step."""
    return None if packed is None else unpack(state_kind(method), packed, device)


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
