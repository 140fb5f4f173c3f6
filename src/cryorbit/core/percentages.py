"""Fractions as people read them."""

from __future__ import annotations


def percent(fraction: float, digits: int = 0) -> str:
    """Write a fraction as a percentage: 0.04 is ``4 %``."""
    return f"{100 * fraction:.{digits}f} %"
