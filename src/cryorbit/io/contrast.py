"""The sign of the contrast of a set of images: whether protein is white or dark."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cryorbit.io.image_statistics import ImageStatistics

SIGNIFICANCE = 5.0
"""Standard errors the contrast must be away from 0 to be believed."""
FEWEST_OTHERS, LEAST_PART = 20, 0.05
"""Images that make a contrast of their own, at least, and the part of the set that they are."""
CLEAR, VALLEY, MOST_BETWEEN = 2.5, 1 / 3, 0.2
"""Two contrasts are clear where each median is so many standard deviations of its images away from 0, and where within
this part of the smaller median there are fewer images than this part of the rarer."""


def image_contrasts(statistics: ImageStatistics) -> Float[Tensor, " n"]:
    """(Centre - background) / standard deviation of the image, of N images."""
    return (statistics.centre_mean - statistics.background_mean) / statistics.spread


def judge_contrast(contrasts: Float[Tensor, " n"]) -> tuple[bool, str]:
    """Whether protein is dark, and a sentence, from the centre of the images against their background."""
    middle, error = median_contrast(contrasts)
    measure = f"centre minus background is {middle:+.3f} +- {error:.3f} standard deviations of the image"
    # contrasts that are all zero have no error, either
    if abs(middle) < SIGNIFICANCE * error or middle == 0:
        return False, f"The sign of the contrast is ambiguous ({measure}); white protein is assumed."
    if middle < 0:
        return True, f"Protein is dark ({measure}): the images must be inverted."
    return False, f"Protein is white ({measure})."


def median_contrast(contrasts: Float[Tensor, " n"]) -> tuple[float, float]:
    """Median over images of the contrast, and its standard error.

    The standard error of a median is 1.2533 sigma / sqrt(n), with sigma from the median absolute deviation, so that
    neither junk nor ice decides.
    """
    return float(contrasts.median()), 1.2533 * _spread(contrasts) / math.sqrt(len(contrasts))


def rarer_contrast(contrasts: Float[Tensor, " n"]) -> Bool[Tensor, " n"] | None:
    """Mask of the images of the rarer contrast, where the contrasts of N images have two clear peaks of opposite sign.

    The tail that noise leaves on the other side is not a peak: it is densest at 0.
    """
    rare = contrasts < 0 if int((contrasts < 0).sum()) <= len(contrasts) / 2 else contrasts > 0
    count = int(rare.sum())
    if count < max(FEWEST_OTHERS, LEAST_PART * len(contrasts)):
        return None
    sides = contrasts[rare].abs(), contrasts[~rare].abs()
    if any(float(side.median()) < CLEAR * _spread(side) for side in sides):
        return None
    between = contrasts.abs() < VALLEY * min(float(side.median()) for side in sides)
    return rare if int(between.sum()) < MOST_BETWEEN * count else None


def opposite_contrasts(parts: list[Float[Tensor, " _m"]]) -> tuple[int, int] | None:
    """Two of the parts of a set whose contrasts are significant and of opposite sign; None where there are none."""
    medians = [median_contrast(part) for part in parts]
    signs = torch.tensor(
        [0 if abs(middle) < SIGNIFICANCE * error else math.copysign(1, middle) for middle, error in medians]
    )
    if not bool((signs < 0).any() and (signs > 0).any()):
        return None
    return int((signs > 0).int().argmax()), int((signs < 0).int().argmax())


def _spread(values: Float[Tensor, " n"]) -> float:
    """Standard deviation from the median absolute deviation."""
    return 1.4826 * float((values - values.median()).abs().median())
