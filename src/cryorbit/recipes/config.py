"""Settings of a recipe from a TOML file and from what was typed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel

from cryorbit.core.errors import InputError
from cryorbit.core.validation import validated
from cryorbit.io.destinations import require_usable_path

Config = TypeVar("Config", bound=BaseModel)


def load_config(
    model: type[Config],
    file: Path | None,
    overrides: Mapping[str, Any],
    held: Mapping[str, Any] | None = None,
    *,
    preset: Mapping[str, Any] = MappingProxyType({}),
) -> Config:
    """Build the settings of a recipe.

    Parameters
    ----------
    model
        The recipe's config.
    file
        TOML file of settings, or None.
    overrides
        Settings that win over the file; a value of None means that the setting was not given.
    held
        What the file holds, where it has been read already; by default it is TOML, and read.
    preset
        Settings that the file wins over.

    Raises
    ------
    InputError
        If the file cannot be read, holds an unknown key, or a value does not fit.
    """
    settings = held if held is not None else {} if file is None else _read_toml(file)
    typed = {key: value for key, value in overrides.items() if value is not None}
    return validated(model, overlaid(overlaid(preset, settings), typed), file, typed)


def overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of which ``above`` wins, within groups too; another method does not take over settings of the first."""
    if "method" in below and above.get("method", below["method"]) != below["method"]:
        below = {name: value for name, value in below.items() if name != "settings"}
    groups = {name for name, value in below.items() if isinstance(value, Mapping)}
    both = {name: value for name, value in above.items() if isinstance(value, Mapping) and name in groups}
    return {**below, **above, **{name: overlaid(below[name], value) for name, value in both.items()}}


def _read_toml(file: Path) -> dict[str, Any]:
    """Parse a TOML file, or tell the user why it cannot be parsed."""
    text = ""
    require_usable_path(file)
    try:
        text = file.read_text(encoding="utf-8-sig")
        return tomllib.loads(text)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file, fix="check the path") from error
    except UnicodeDecodeError as error:
        fix = "save the file as plain text (UTF-8)"
        raise InputError(f"is not valid TOML: byte {error.start} is not valid UTF-8", file=file, fix=fix) from error
    except (ValueError, RecursionError) as error:
        # not only the parser's own error: of numbers of thousands of digits, and of very deep lists
        fix = 'write `key = value` lines below `[group]` lines, and text in quotes: symmetry = "D2"'
        raise InputError(f"is not valid TOML: {_with_line(str(error), text)}", file=file, fix=fix) from error


def _with_line(message: str, text: str) -> str:
    """What the parser says, and the line that it says it of."""
    place = re.search(r"line (\d+)", message)
    return message if place is None else f"{message}: {text.splitlines()[int(place[1]) - 1].strip()!r}"
