"""Lengths of steps and weights of momentum that change with the step's number."""

from __future__ import annotations

import math


def annealed(step: int, decay: float, power: float) -> float:
    """``(1 + decay t)^-power``: the factor on the step length at step t."""
    return (1 + decay * step) ** -power


def growing_momentum(step: int, largest: float = 0.9, stretch: int = 100) -> float:
    """``min(largest, 1 - 2^(-1 - log2(floor(t / stretch) + 1)))``: from 0.5 upwards (Punjani & Brubaker 2015)."""
    return min(largest, 1 - 2.0 ** (-1 - math.log2(step // stretch + 1)))
