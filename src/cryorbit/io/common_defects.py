"""Defects that all images have at one place, of the camera or of a program: pixels, lines of them, and marks.

The particle is none: it is wider than a pixel, and its views differ, so that the median of the images looks nearly
alike from four sides.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from cryorbit.io.grey_levels import from_neighbours

DEFECT, DEFECT_FACTOR, ORDINARY_PIXELS = 3.0, 10.0, 0.98
"""A defect stands so many standard deviations of an image out of its neighbours in the median image, and so many times
as far as this part of the pixels do."""
LEAST_MARK, SURE = 0.5, 6.0
"""A mark stands so many standard deviations of an image, and so many standard errors of the median, out of the median
image as it looks from the other sides."""
SIDES = 4
"""From which an image is looked at."""
MEDIAN_TO_SIGMA, MEDIAN_ERROR = 1.4826, 1.2533
"""Standard deviation of normal numbers over their median distance, and standard error of their median over that of
their mean."""
SPREAD_SAMPLE = 50
"""Images that tell how far they differ from the median: it takes no more."""
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


def common_marks(images: Float[Tensor, "b y x"]) -> Bool[Tensor, "y x"]:
    """Mask of the pixels that differ from those about their places in the other quarters of the median image.

    Such are faint pixels, spots of dust on the camera, and whatever a program wrote into all images.
    """
    typical = images.median(0).values
    some = images[:: max(1, len(images) // SPREAD_SAMPLE)]
    spread = MEDIAN_TO_SIGMA * (some - typical).abs().median(0).values
    error = MEDIAN_ERROR * spread / math.sqrt(len(images))
    above, below = (_excess(each) for each in (typical, -typical))
    return torch.maximum(above, below) > (SURE * error).clamp_min(LEAST_MARK)


def _excess(typical: Float[Tensor, "y x"]) -> Float[Tensor, "y x"]:
    """How far pixels exceed all that lie within a pixel of their places when the image is turned by quarters."""
    widened = functional.max_pool2d(typical[None], 3, stride=1, padding=1)[0]
    return typical - torch.stack([widened.rot90(turns) for turns in range(1, SIDES)]).amax(0)


def _outlying_rows(typical: Float[Tensor, "y x"]) -> Bool[Tensor, " y"]:
    """Mask of the rows whose median stands out of both neighbouring rows, those of the other side at the ends."""
    rows = typical.median(1).values
    before, after = rows - rows.roll(1), rows - rows.roll(-1)
    details = torch.where(before * after > 0, torch.minimum(before.abs(), after.abs()), 0.0)
    return details > max(DEFECT, DEFECT_FACTOR * float(details.quantile(ORDINARY_LINES)))
