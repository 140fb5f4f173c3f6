"""Learning rates that fall along half a cosine."""

from __future__ import annotations

import math

from torch.optim import Optimizer


def cosine_rate(first: float, last: float, part: float) -> float:
    """Rate after a part, 0 to 1, of the way from the first to the last."""
    return last + 0.5 * (first - last) * (1 + math.cos(math.pi * part))


def set_rate(optimiser: Optimizer, rate: float) -> None:
    """Give an optimiser its learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate
