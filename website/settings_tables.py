"""Tables of the settings of every command, made from the configs when the site is built.

A page asks for them by the comment ``<!-- settings -->``.
"""

import dataclasses
import re
import types
from collections.abc import Iterator
from importlib import import_module
from inspect import getdoc
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cryorbit.api.recipe_table import CONFIGS
from cryorbit.core.bounds import MOST
from cryorbit.recipes.settings import JobSettings, ParticleSettings
from markdown_table import table

MARK = "<!-- settings -->"
SIMULATE = {"simulate": "cryorbit.recipes.simulate:SimulateConfig"}
"""Leaves no job that can be resumed, and yet takes a file of settings."""
SHARED: dict[str, type[BaseModel]] = {"Every job": JobSettings, "Every job on particles": ParticleSettings}
"""Settings of several commands: title of their section, and the config that the others extend."""
HEADER = ["setting", "values", "default", "meaning"]
KINDS = {bool: "true or false", int: "integer", float: "number", str: "text", Path: "path"}
BOUNDS = {"ge": "≥ {:g}", "gt": "> {:g}", "le": "≤ {:g}", "lt": "< {:g}"}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the tables where a page asks for them; called by mkdocs."""
    return markdown.replace(MARK, settings_tables()) if MARK in markdown else markdown


def settings_tables() -> str:
    """A section a command, in it a table for each group of settings, named as in a file."""
    configs = {verb: _config(place) for verb, place in sorted((CONFIGS | SIMULATE).items())}
    parts = [f"## {title}\n\n{_summary(base)}\n\n{_table(base)}" for title, base in SHARED.items()]
    for verb, config in configs.items():
        parts.append(f"## {verb}\n\n{_summary(config)} {_shared_by(config)}".rstrip())
        parts += [_group_text(name, group, set(configs) - {verb}) for name, group in _groups(config)]
    return "\n\n".join(part for part in parts if part)


def _config(place: str) -> type[BaseModel]:
    module, _, name = place.partition(":")
    config: type[BaseModel] = getattr(import_module(module), name)
    return config


def _shared_by(config: type[BaseModel]) -> str:
    """Where the settings stand that a command has in common with others."""
    titles = [title.lower() for title, base in SHARED.items() if issubclass(config, base)]
    return f"It also takes the settings of [{titles[-1]}](#{titles[-1].replace(' ', '-')})." if titles else ""


def _groups(group: type, name: str = "") -> Iterator[tuple[str, type]]:
    """A config and the groups within it, by the name of their table in a file."""
    yield name, group
    for key, field in _fields(group).items():
        if _is_group(field):
            yield from _groups(type(field.default), f"{name}.{key}".lstrip("."))


def _is_group(field: FieldInfo) -> bool:
    return isinstance(field.default, BaseModel) or dataclasses.is_dataclass(field.default)


def _fields(group: type) -> dict[str, FieldInfo]:
    """Fields of a config, or of a dataclass within one."""
    if issubclass(group, BaseModel):
        return dict(group.model_fields)
    hints = get_type_hints(group, include_extras=True)
    return {
        each.name: FieldInfo.from_annotated_attribute(hints[each.name], each.default)
        for each in dataclasses.fields(group)
    }


def _group_text(name: str, group: type, verbs: set[str]) -> str:
    """Table of a group under its heading; of one that is a stage with a command of its own, where that is described."""
    heading = f"### `[{name}]`\n\n{_summary(group)}\n\n" if name else ""
    stage, _, inside = name.partition(".")
    if stage in verbs:
        return "" if inside else f"{heading}As for [{stage}](#{stage})."
    rows = _table(group)
    return heading + rows if rows else heading.rstrip()


def _table(group: type) -> str:
    """A row a setting, but for groups and for what a config above it says in the same words."""
    known = {row for base in SHARED.values() if issubclass(group, base) and group is not base for row in _rows(base)}
    return table(HEADER, [row for row in _rows(group) if row not in known])


def _rows(group: type) -> list[tuple[str, str, str, str]]:
    described = _attributes(group)
    return [
        (f"`{key}`", _kind(field), _default(field), field.description or described.get(key, ""))
        for key, field in _fields(group).items()
        if not _is_group(field)
    ]


def _summary(group: type) -> str:
    """The first paragraph of a docstring."""
    return " ".join((getdoc(group) or "").partition("\n\n")[0].split())


def _attributes(group: type) -> dict[str, str]:
    """What the docstring of a class says of its attributes."""
    section = re.search(r"^Attributes\n-+\n(.*?)(?=^\w.*\n-+\n|\Z)", getdoc(group) or "", re.MULTILINE | re.DOTALL)
    entries = re.findall(r"^(\w[\w, ]*)\n((?:[ ]+.*\n?|\n)+)", section[1] if section else "", re.MULTILINE)
    return {name.strip(): " ".join(text.split()) for names, text in entries for name in names.split(",")}


def _kind(field: FieldInfo) -> str:
    """What values a setting takes, with its bounds."""
    bounds = [
        pattern.format(value)
        for constraint in field.metadata
        for name, pattern in BOUNDS.items()
        if (value := getattr(constraint, name, None)) is not None and abs(value) < MOST
    ]
    return ", ".join([_values(field.annotation), *bounds])


def _values(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_values(each) for each in inner if each is not type(None)))
    if origin is Annotated:
        return _values(inner[0])
    if origin is tuple:
        return "list of " + " and ".join(dict.fromkeys(_values(each) for each in inner if each is not Ellipsis))
    return KINDS.get(annotation, "table")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ((), {}):
        return "none"
    return f"`{_toml(value)}`"


def _toml(value: Any) -> str:
    """A value as it is written in a file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(each) for each in value)}]"
    return f'"{value}"' if isinstance(value, str | Path) else str(value)
