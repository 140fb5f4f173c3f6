"""The Kaiser-Bessel window, by which a transform is interpolated on a twice padded grid with errors near 5e-5.

What is transformed is first divided by the window's own transform; a value between the points of the grid is then the
sum of the ``WIDTH`` points next to it along each axis, weighted by the window. The window and its width parameter are
those of Beatty, Nishimura and Pauly (IEEE TMI 24, 799, 2005), eq. 5.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

PAD = 2
"""Sides of the padded grid in sides of what is transformed."""
WIDTH = 5
"""Points of the grid that the window reaches along an axis."""
BETA = math.pi * math.sqrt((WIDTH / PAD) ** 2 * (PAD - 0.5) ** 2 - 0.8)


def points_within(position: Float[Tensor, "*n"]) -> Int[Tensor, "*n w"]:
    """Numbers of the points that the window around a position along an axis reaches; positions in grid steps."""
    steps = torch.arange(WIDTH, dtype=torch.int32, device=position.device)
    return torch.ceil(position - WIDTH / 2).int()[..., None] + steps


def window(distance: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """The window at a distance in grid steps."""
    inner = (1 - (2 * distance / WIDTH) ** 2).clamp_min(0)
    return torch.special.i0(BETA * inner.sqrt()) / WIDTH


def window_transform(box: int, device: torch.device) -> Float[Tensor, " n"]:
    """Transform of the window at the pixels of a line of ``box`` whose centre is ``box // 2``; float64."""
    offset = torch.arange(box, device=device).double() - box // 2
    argument = BETA**2 - (math.pi * WIDTH * offset / (PAD * box)) ** 2
    return torch.sinh(argument.sqrt()) / argument.sqrt()
