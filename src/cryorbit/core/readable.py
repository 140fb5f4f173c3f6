"""Fractions, times and sizes of files as people read them."""

from __future__ import annotations

_KILO = 1000


def percent(fraction: float, digits: int = 0) -> str:
    """Write a fraction as a percentage: 0.04 is ``4 %``."""
    return f"{100 * fraction:.{digits}f} %"


def duration(seconds: float) -> str:
    """Write seconds as hours, minutes and seconds: 75 is ``1 min 15 s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def file_size(count: float) -> str:
    """Write a number of bytes in the unit that fits: 2,500,000 is ``2.5 MB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < _KILO:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= _KILO
    return f"{count:.1f} TB"
