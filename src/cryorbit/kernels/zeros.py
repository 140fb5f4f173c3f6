"""Large arrays of zeros, most of which may never be written to."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def zeros_torch(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Zeros on the device and in the precision of ``like``."""
    return like.new_zeros(shape)


def zeros_numpy(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Zeros in the precision of ``like`` that take no memory before they are written to.

    The pages of an array that numpy asks zeros for are the system's until something is written to them.
    """
    return torch.from_numpy(np.zeros(shape, torch.empty(0, dtype=like.dtype).numpy().dtype))
