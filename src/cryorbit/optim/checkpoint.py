"""States of methods as plain dictionaries of tensors and numbers, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_args, get_type_hints

import torch
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.optim.method import Method

State = TypeVar("State")
CPU = torch.device("cpu")


def pack_state(state: Any) -> dict[str, Any]:
    """The fields of a dataclass, nested dataclasses as dictionaries: what a checkpoint can hold."""
    return {field.name: _packed(getattr(state, field.name)) for field in fields(state)}


def unpack_state(kind: type[State], packed: Mapping[str, Any], device: torch.device = CPU) -> State:
    """The dataclass ``kind`` from what ``pack_state`` made of it, its tensors (counts, too) on a device."""
    hints = get_type_hints(kind)
    return kind(**{name: _unpacked(hints[name], value, device) for name, value in packed.items()})


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
        raise InputError(f"{name}.init names no class of its state", mend="annotate what it returns: -> MyState")
    return kind


def _packed(value: Any) -> Any:
    return pack_state(value) if is_dataclass(value) else value


def _unpacked(hint: Any, value: Any, device: torch.device) -> Any:
    """Value of a field; of a union, the dataclass in it is meant."""
    if isinstance(value, Tensor):
        return value.to(device)
    if not isinstance(value, Mapping):
        return value
    kind = next(each for each in (hint, *get_args(hint)) if isinstance(each, type) and is_dataclass(each))
    return unpack_state(kind, value, device)
