"""Checks of settings against a model, with errors that name the setting, its value and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cryorbit.core.errors import InputError

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
    if kind == "extra_forbidden":
        known = _keys(model, location[:-1])
        nearest = difflib.get_close_matches(location[-1], known, n=1)
        fix = f"did you mean {nearest[0]!r}?" if nearest else f"the keys here are {', '.join(known)}"
        return InputError(f"unknown setting {name!r}", file=file, fix=fix)
    if kind == "missing":
        return InputError(f"the setting {name!r} is missing", file=file, fix="give it")
    if name and kind in DEMANDS:
        demand = DEMANDS[kind].format(**details.get("ctx", {}))
        return InputError(f"the setting {name!r} is {_shown(details['input'])}", file=file, fix=f"it must be {demand}")
    what = f"the setting {name!r} does not fit: {details['msg']}" if name else details["msg"]
    return InputError(what, file=file, fix="change the value")


def _shown(value: Any) -> str:
    """A value as it is written in a file of settings, cut where it is long."""
    text = {None: "empty", True: "true", False: "false"}.get(value) if isinstance(value, bool | None) else repr(value)
    return str(text) if len(str(text)) <= LONGEST_SHOWN else f"{str(text)[:LONGEST_SHOWN]}..."


def _keys(model: type[BaseModel], location: tuple[str, ...]) -> list[str]:
    """Keys that the group of settings at ``location`` has."""
    for part in location:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        candidates = [annotation, *get_args(annotation)]
        groups = [each for each in candidates if isinstance(each, type) and issubclass(each, BaseModel)]
        if not groups:
            return []
        model = groups[0]
    return sorted(model.model_fields)
