"""Settings of a recipe from a TOML file and from what was typed, checked, with errors that name the nearest key."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cryorbit.core.errors import InputError
from cryorbit.io.destinations import require_usable_path

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


def load_config(
    model: type[Config], file: Path | None, given: Mapping[str, Any], held: Mapping[str, Any] | None = None
) -> Config:
    """Build the settings of a recipe.

    Parameters
    ----------
    model
        The recipe's config.
    file
        TOML file of settings, or None.
    given
        Settings that win over the file; a value of None means that the setting was not given.
    held
        What the file holds, where it has been read already; by default it is TOML, and read.

    Raises
    ------
    InputError
        If the file cannot be read, holds an unknown key, or a value does not fit.
    """
    settings = held if held is not None else {} if file is None else _read_toml(file)
    typed = {key: value for key, value in given.items() if value is not None}
    return validated(model, _overlaid(settings, typed), file, typed)


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
                cause.problem, file=from_file or cause.file, row=cause.row, line=cause.line, mend=cause.mend
            ) from error
        raise _input_error(model, location, first, from_file) from error


def _overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of which ``above`` wins, within groups too."""
    groups = {name for name, value in below.items() if isinstance(value, Mapping)}
    both = {name: value for name, value in above.items() if isinstance(value, Mapping) and name in groups}
    return {**below, **above, **{name: _overlaid(below[name], value) for name, value in both.items()}}


def _read_toml(file: Path) -> dict[str, Any]:
    """Parse a TOML file, or tell the user why it cannot be parsed."""
    text = ""
    require_usable_path(file)
    try:
        text = file.read_text(encoding="utf-8-sig")
        return tomllib.loads(text)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file, mend="check the path") from error
    except UnicodeDecodeError as error:
        mend = "save the file as plain text (UTF-8)"
        raise InputError(f"is not valid TOML: byte {error.start} is no UTF-8", file=file, mend=mend) from error
    except (ValueError, RecursionError) as error:
        # not only the parser's own error: of numbers of thousands of digits, and of very deep lists
        mend = 'write `key = value` lines below `[group]` lines, and text in quotes: symmetry = "D2"'
        raise InputError(f"is not valid TOML: {_with_line(str(error), text)}", file=file, mend=mend) from error


def _with_line(message: str, text: str) -> str:
    """What the parser says, and the line that it says it of."""
    place = re.search(r"line (\d+)", message)
    return message if place is None else f"{message}: {text.splitlines()[int(place[1]) - 1].strip()!r}"


def _input_error(
    model: type[BaseModel], location: tuple[str, ...], found: ErrorDetails, file: Path | None
) -> InputError:
    """Say what is wrong with the setting at ``location`` and what to write in its place."""
    name, kind = ".".join(location), found["type"]
    if kind == "extra_forbidden":
        known = _keys(model, location[:-1])
        nearest = difflib.get_close_matches(location[-1], known, n=1)
        mend = f"did you mean {nearest[0]!r}?" if nearest else f"the keys here are {', '.join(known)}"
        return InputError(f"unknown setting {name!r}", file=file, mend=mend)
    if kind == "missing":
        return InputError(f"the setting {name!r} is missing", file=file, mend="give it")
    if name and kind in DEMANDS:
        demand = DEMANDS[kind].format(**found.get("ctx", {}))
        return InputError(f"the setting {name!r} is {_shown(found['input'])}", file=file, mend=f"it must be {demand}")
    what = f"the setting {name!r} does not fit: {found['msg']}" if name else found["msg"]
    return InputError(what, file=file, mend="change the value")


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
