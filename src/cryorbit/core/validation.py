"""Checks of settings against a model, with errors that name the setting, its value and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from cryorbit.core.errors import InputError
from cryorbit.core.setting_list import fields_of, holds_settings

Config = TypeVar("Config", bound=BaseModel)

DEMANDS = {
    "greater_than": "above {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "below {lt:g}",
    "less_than_equal": "at most {le:g}",
    "literal_error": "{expected}",
    "finite_number": "a finite number",
    "none_required": "left out",
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    "string_type": "text in quotes",
    "path_type": "a path in quotes",
    **dict.fromkeys(("tuple_type", "list_type"), "a list"),
    "too_short": "a list of {min_length} or more",
    "too_long": "a list of {max_length} or fewer",
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "a table of settings"),
}
"""What a setting must be, for each way of not being it that pydantic knows by these names."""
LONGEST_SHOWN = 60


def validated(
    model: type[Config], settings: Mapping[str, Any], file: Path | None = None, typed: Container[str] = ()
) -> Config:
    """Settings that fit; the first that does not is an ``InputError``, of ``file`` unless it was ``typed``."""
    try:
        return model.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        location = tuple(str(part) for part in first["loc"])
        from_file = file if location and location[0] not in typed else None
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, InputError):
            raise InputError(
                cause.problem, file=from_file or cause.file, row=cause.row, line=cause.line, fix=cause.fix
            ) from error
        raise _input_error(model, location, first, from_file) from error


def _input_error(
    model: type[BaseModel], location: tuple[str, ...], details: ErrorDetails, file: Path | None
) -> InputError:
    """Say what is wrong with the setting at ``location`` and what to write in its place."""
    name, kind = ".".join(location), details["type"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        known = _keys(model, location[:-1])
        nearest = difflib.get_close_matches(location[-1], known, n=1)
        fix = f"did you mean {nearest[0]!r}?" if nearest else f"the keys here are {', '.join(known)}"
        return InputError(f"unknown setting {name!r}", file=file, fix=fix)
    meaning = _meaning(model, location)
    if kind == "missing":
        return InputError(f"the setting {name!r} is missing", file=file, fix=f"add it{meaning}")
    if name and kind in DEMANDS:
        demand = DEMANDS[kind].format(**details.get("ctx", {}))
        problem = f"the setting {name!r} is {_shown(details['input'])}"
        return InputError(problem, file=file, fix=f"it must be {demand}{meaning}")
    what = f"the setting {name!r} does not fit: {details['msg']}" if name else details["msg"]
    return InputError(what, file=file, fix=f"change the value{meaning}")


def _meaning(model: type[BaseModel], location: tuple[str, ...]) -> str:
    """What a setting is, in brackets, with its unit; nothing where its config does not say."""
    *groups, name = [part for part in location if not part.isdecimal()] or [""]
    field = _group(model, groups).get(name)
    description = (field.description or "") if field else ""
    return f" ({description.partition(' Default: ')[0].rstrip('.')})" if description else ""


def _shown(value: Any) -> str:
    """A value as it is written in a file of settings, cut where it is long."""
    text = _written(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def _written(value: Any) -> str:
    if isinstance(value, bool | None):
        return "empty" if value is None else str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_written, value))}]"
    return repr(str(value) if isinstance(value, Path) else value)


def _keys(model: type[BaseModel], location: Sequence[str]) -> list[str]:
    """Keys that the group of settings at ``location`` has."""
    return sorted(_group(model, location))


def _group(config: type, location: Sequence[str]) -> dict[str, FieldInfo]:
    """Fields of the group of settings at ``location``; none where there is no such group."""
    fields = fields_of(config)
    for part in location:
        annotation = fields[part].annotation if part in fields else None
        groups = [each for each in (annotation, *get_args(annotation)) if holds_settings(each)]
        if not groups:
            return {}
        fields = fields_of(groups[0])
    return fields
