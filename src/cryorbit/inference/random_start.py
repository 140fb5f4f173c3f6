"""Random first volumes: a random walk that leaves a Gaussian blob at every step.

The walk is that of Punjani & Brubaker (2014) with its two slips mended: the step is along a *unit* direction, and a
step out of the window is mirrored at its boundary.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

BLOBS = 30
"""Blobs, as in the program of Brubaker, Punjani & Fleet (cryoem-cvpr2015)."""
WIDTH = 5 / 128
"""Usual width of a blob, boxes: theirs, too."""


def random_blobs(size: int, radius: float, generator: torch.Generator) -> Float[Tensor, "m m m"]:
    """Sum of thirty blobs of width about ``5/128 size`` inside ``radius`` pixels, centred by mass."""
    axis = torch.arange(size, dtype=torch.float32) - size // 2
    centre = torch.zeros(3)
    centres, widths = [], []
    for _ in range(BLOBS):
        width = WIDTH * size * math.exp(0.25 * float(torch.randn(1, generator=generator)))
        centres.append(centre)
        widths.append(width)
        direction = torch.nn.functional.normalize(torch.randn(3, generator=generator), dim=0)
        centre = reflected(centre + 2 * width * direction, 0.7 * radius)
    mean = torch.stack(centres).mean(0)
    volume = torch.zeros(size, size, size)
    for place, width in zip(centres, widths, strict=True):
        # a product of three Gaussians of one variable each
        x, y, z = (torch.exp(-((axis - c) ** 2) / (2 * width**2)) for c in (place - mean).tolist())
        volume += z[:, None, None] * y[:, None] * x
    return volume


def reflected(point: Float[Tensor, "3"], radius: float) -> Float[Tensor, "3"]:
    """A point within ``radius`` of the centre: one beyond it is put as far within, at the centre at most."""
    norm = float(point.norm())
    # a step beyond the far side of the ball, as in a tiny one, ends in its middle
    return point if norm <= radius else point * max(2 * radius - norm, 0.0) / norm
