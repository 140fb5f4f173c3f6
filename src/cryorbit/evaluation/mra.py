"""Quality of a signal from multireference alignment, which is known up to a circular shift."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def signal_error(signal: Float[Tensor, "c n"], truth: Float[Tensor, "c n"]) -> float:
    """Least ``|R_l signal - truth| / |truth|`` over circular shifts l."""
    turns = torch.stack([signal.roll(shift, 1) for shift in range(signal.shape[1])])
    return float((turns - truth).flatten(1).norm(dim=1).min() / truth.norm())
