"""States of methods as plain dictionaries of tensors and numbers, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_args, get_type_hints

from torch import Tensor

State = TypeVar("State")


def pack_state(state: Any) -> dict[str, Any]:
    """The fields of a dataclass, nested dataclasses as dictionaries: what a checkpoint can hold."""
    return {field.name: _packed(getattr(state, field.name)) for field in fields(state)}


def unpack_state(kind: type[State], packed: Mapping[str, Any]) -> State:
    """The dataclass ``kind`` from what ``pack_state`` made of it."""
    hints = get_type_hints(kind)
    return kind(**{name: _unpacked(hints[name], value) for name, value in packed.items()})


def _packed(value: Any) -> Any:
    return pack_state(value) if is_dataclass(value) else value


def _unpacked(hint: Any, value: Any) -> Any:
    """Value of a field; of a union, the dataclass in it is meant."""
    if isinstance(value, Tensor) or not isinstance(value, Mapping):
        return value
    kind = next(each for each in (hint, *get_args(hint)) if isinstance(each, type) and is_dataclass(each))
    return unpack_state(kind, value)
