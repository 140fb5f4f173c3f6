"""Soft masks in real space."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor


def soft_ball(size: int, radius: float, edge: float, dimensions: int = 3) -> Float[Tensor, "..."]:
    """A ball (or disc) about the centre pixel: 1 within ``radius`` pixels, a cosine down to 0 over ``edge`` more."""
    axis = torch.arange(size, dtype=torch.float32) - size // 2
    square = torch.zeros((size,) * dimensions)
    for dim in range(dimensions):
        shape = [1] * dimensions
        shape[dim] = size
        square = square + axis.reshape(shape) ** 2
    return 0.5 * (1 + torch.cos(math.pi * ((square.sqrt() - radius) / edge).clamp(0, 1)))
