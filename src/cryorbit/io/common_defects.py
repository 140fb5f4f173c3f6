"""Defects that all images have at one place, of the camera or of a program: pixels, and lines of them.

The particle is none: it is wider than a pixel, and its views differ.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cryorbit.io.grey_levels import from_neighbours

DEFECT, DEFECT_FACTOR, ORDINARY_PIXELS = 3.0, 10.0, 0.98
"""A defect stands so many standard deviations of an image out of its neighbours in the median image, and so many times
as far as this part of the pixels do."""
ORDINARY_LINES = 0.5
"""Part of the lines that tells how far the lines of sound images stand out of theirs."""


def common_pixels(images: Float[Tensor, "b y x"]) -> Bool[Tensor, "y x"]:
    """Mask of the pixels that stand out of their neighbours in the median of normalised images."""
    details = from_neighbours(images.median(0).values[None])[0].abs()
    return details > max(DEFECT, DEFECT_FACTOR * float(details.flatten().quantile(ORDINARY_PIXELS)))


def common_lines(images: Float[Tensor, "b y x"]) -> Bool[Tensor, "y x"]:
    """Mask of the rows and columns that stand out of their neighbours in the median of normalised images."""
    typical = images.median(0).values
    return _outlying_rows(typical)[:, None] | _outlying_rows(typical.mT)[None, :]


def _outlying_rows(typical: Float[Tensor, "y x"]) -> Bool[Tensor, " y"]:
    """Mask of the rows whose median stands out of both neighbouring rows, those of the other side at the ends."""
    rows = typical.median(1).values
    before, after = rows - rows.roll(1), rows - rows.roll(-1)
    details = torch.where(before * after > 0, torch.minimum(before.abs(), after.abs()), 0.0)
    return details > max(DEFECT, DEFECT_FACTOR * float(details.quantile(ORDINARY_LINES)))
