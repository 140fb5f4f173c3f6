"""Dataclasses as plain containers of tensors, numbers and text, as a checkpoint holds them, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

Record = TypeVar("Record")
CPU = torch.device("cpu")


def pack(record: Any) -> dict[str, Any]:
    """The fields of a dataclass by name, dataclasses within it (in tuples, too) taken apart likewise."""
    return {each.name: _packed(getattr(record, each.name)) for each in fields(record)}


def unpack(kind: type[Record], packed: Mapping[str, Any], device: torch.device = CPU) -> Record:
    """The dataclass ``kind`` from what `pack` made of it, its tensors on a device; tuples hold things of one kind."""
    hints = get_type_hints(kind)
    return kind(**{name: _unpacked(hints[name], value, device) for name, value in packed.items()})


def _packed(value: Any) -> Any:
    if is_dataclass(value):
        return pack(value)
    if isinstance(value, tuple | list):
        return [_packed(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _packed(each) for key, each in value.items()}
    return value


def _unpacked(hint: Any, value: Any, device: torch.device) -> Any:
    """The value of a field; of a union, the dataclass or the tuple in it is meant."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, list):
        inner = (get_args(hint) or (Any,))[0]
        items = [_unpacked(inner, each, device) for each in value]
        return tuple(items) if get_origin(hint) is tuple else items
    if isinstance(value, Mapping):
        kinds = [each for each in (hint, *get_args(hint)) if isinstance(each, type) and is_dataclass(each)]
        if kinds:
            return unpack(kinds[0], value, device)
        return {key: _unpacked(Any, each, device) for key, each in value.items()}
    return value
