"""Settings of an optimiser on the command line."""

from __future__ import annotations

import json
from typing import Any

from cryorbit.core.errors import InputError


def read_settings(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Settings from ``key=value``, values as JSON where they are; ``InputError`` if there is no equals sign."""
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        name = key.strip().replace("-", "_")
        if not equals or not name:
            raise InputError(f"the setting {pair!r} has no value", fix="write --setting key=value")
        if name in settings:
            raise InputError(f"the setting {name!r} was given twice", fix="leave one out")
        try:
            settings[name] = json.loads(value)
        except ValueError:
            settings[name] = value
    return settings
