"""Results of any kind as plain containers that tell what they were: what a file holds whose reader knows no type.

``core.records`` is for whoever does.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

_KIND, _VALUE = "kind", "value"
_TUPLE, _ELSEWHERE = "tuple", "tensor of a device"
_PACKAGE = __name__.partition(".")[0]


def tag(value: Any) -> Any:
    """Lists, numbers, text and tensors in main memory as they are; what else ``value`` is made of with its name.

    Raises
    ------
    TypeError
        There is something in it that is none of these, no tuple and no dataclass of this package.
    """
    if isinstance(value, Tensor):
        return value if value.device.type == "cpu" else {_KIND: _ELSEWHERE, _VALUE: value.cpu()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [tag(each) for each in value]
    if isinstance(value, tuple):
        return {_KIND: _TUPLE, _VALUE: [tag(each) for each in value]}
    if is_dataclass(value) and type(value).__module__.startswith(f"{_PACKAGE}."):
        parts = {each.name: tag(getattr(value, each.name)) for each in fields(value)}
        return {_KIND: f"{type(value).__module__}:{type(value).__name__}", _VALUE: parts}
    raise TypeError(f"a result of type {type(value).__name__} cannot be kept")


def untag(packed: Any, device: torch.device) -> Any:
    """What `tag` was given; tensors that were not in main memory are put on ``device``.

    Raises
    ------
    KeyError, ValueError
        It was not made by `tag`.
    """
    if isinstance(packed, list):
        return [untag(each, device) for each in packed]
    if not isinstance(packed, Mapping):
        return packed
    kind, value = str(packed.get(_KIND)), packed[_VALUE]
    if kind == _TUPLE:
        return tuple(untag(each, device) for each in value)
    if kind == _ELSEWHERE:
        return value.to(device)
    return _dataclass(kind)(**{name: untag(each, device) for name, each in value.items()})


def _dataclass(name: str) -> Any:
    """A dataclass of this package by its name, ``module:Class``: a file must not name anything else."""
    module, _, class_name = name.partition(":")
    if module.startswith(f"{_PACKAGE}."):
        found = getattr(importlib.import_module(module), class_name, None)
        if isinstance(found, type) and is_dataclass(found):
            return found
    raise ValueError(f"{name!r} is not a kind of result")
