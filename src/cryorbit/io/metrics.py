"""Lines of metrics, ``metrics.jsonl``: a JSON object a line; damaged lines are passed over, never fatal."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_LOGGER = logging.getLogger(__name__)
METRICS = "metrics.jsonl"


def append_metrics(file: Path, entry: Mapping[str, Any]) -> None:
    """Append one line; numbers that are not finite become null."""
    with file.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(plain(entry), allow_nan=False) + "\n")


def complete_lines(file: Path) -> list[bytes]:
    """The lines of the file, damaged ones too; a last line that was cut off does not count."""
    content = file.read_bytes() if file.exists() else b""
    return content.split(b"\n")[:-1]


def parse_metrics(lines: list[bytes]) -> list[dict[str, Any]]:
    """What the sound ones among ``lines`` hold, in order."""
    return [entry for line in lines if (entry := _entry(line)) is not None]


def sound_lines(lines: list[bytes], file: Path) -> list[bytes]:
    """The sound ones among ``lines``; that others are left out is logged as of ``file``."""
    sound = [line for line in lines if _entry(line) is not None]
    if len(sound) < len(lines):
        _LOGGER.warning("%s: %d damaged lines are left out of the curves", file, len(lines) - len(sound))
    return sound


def plain(value: Any) -> Any:
    """Return ``value`` as what JSON can hold: arrays as lists, paths as text, NaN and infinities as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _entry(line: bytes) -> dict[str, Any] | None:
    """The object that a line holds, its numbers finite; None if it is damaged."""
    try:
        entry = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and entry else None


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not a measured number")
