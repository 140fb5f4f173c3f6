"""The settings of a config as people read them: dotted name, values, default and meaning."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cryorbit.core.bounds import MOST

REQUIRED = "required"
"""Stands where there is no default."""
NOTHING_CHOSEN: Mapping[str, Any] = types.MappingProxyType({})
_KINDS = {bool: "true or false", int: "integer", float: "number", str: "text", Path: "path"}
_BOUNDS = {"ge": "≥ {:g}", "gt": "> {:g}", "le": "≤ {:g}", "lt": "< {:g}"}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes
    ----------
    name
        With the groups it is in: ``search.iterations``.
    field
        Its type, bounds, default and description.
    chosen
        What it is by default in place of that.
    """

    name: str
    field: FieldInfo
    chosen: object = None

    @property
    def values(self) -> str:
        """What it can be: the kind of value, and its bounds."""
        bounds = [
            pattern.format(value)
            for constraint in self.field.metadata
            for name, pattern in _BOUNDS.items()
            if (value := getattr(constraint, name, None)) is not None and abs(value) < MOST
        ]
        return ", ".join([_values(self.field.annotation), *bounds])

    @property
    def default(self) -> object:
        """What it is unless it is set; `REQUIRED` where it must be set."""
        if self.chosen is not None:
            return self.chosen
        return REQUIRED if self.field.is_required() else self.field.get_default(call_default_factory=True)

    @property
    def written(self) -> str | None:
        """The default as a file of settings has it; None where there is none to write."""
        return None if self.default in (REQUIRED, None, (), {}) else _toml(self.default)

    @property
    def meaning(self) -> str:
        """What it does, in which unit."""
        return self.field.description or ""


def list_settings(config: type, group: str = "", chosen: Mapping[str, Any] = NOTHING_CHOSEN) -> Iterator[Setting]:
    """Every setting of a config or of a dataclass within one, those of its groups included; each group in one run.

    Parameters
    ----------
    config
        The config or dataclass.
    group
        Groups that it is in, as names of settings begin with.
    chosen
        Values in place of the defaults; those of a group as a mapping.
    """
    fields = fields_of(config)
    for name, field in fields.items():
        if not is_group(field):
            yield Setting(f"{group}{name}", field, chosen.get(name))
    for name, field in fields.items():
        if is_group(field):
            yield from list_settings(type(field.default), f"{group}{name}.", chosen.get(name, NOTHING_CHOSEN))


def fields_of(config: Any) -> dict[str, FieldInfo]:
    """Fields of a config, or of a dataclass within one."""
    if issubclass(config, BaseModel):
        return dict(config.model_fields)
    hints = get_type_hints(config, include_extras=True)
    return {
        each.name: FieldInfo.from_annotated_attribute(hints[each.name], each.default)
        for each in dataclasses.fields(config)
    }


def is_group(field: FieldInfo) -> bool:
    """Whether a field holds settings of its own."""
    return holds_settings(type(field.default))


def holds_settings(kind: Any) -> bool:
    """Whether a type is a config, or a dataclass of settings within one."""
    return isinstance(kind, type) and (issubclass(kind, BaseModel) or dataclasses.is_dataclass(kind))


def _values(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(_toml(value) for value in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_values(each) for each in inner if each is not type(None)))
    if origin is Annotated:
        return _values(inner[0])
    if origin is tuple:
        return "list of " + " and ".join(dict.fromkeys(_values(each) for each in inner if each is not Ellipsis))
    return _KINDS.get(annotation, "table")


def _toml(value: Any) -> str:
    """A value as it is written in a file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(each) for each in value)}]"
    return f'"{value}"' if isinstance(value, str | Path) else str(value)
