"""The sign of the contrast of a set of images: whether protein is white or dark."""

from __future__ import annotations

import math

from cryorbit.io.image_statistics import ImageStatistics

SIGNIFICANCE = 5.0
"""Standard errors the contrast must be away from 0 to be believed."""


def judge_contrast(statistics: ImageStatistics) -> tuple[bool, str]:
    """Whether protein is dark, and a sentence, from the centre of the images against their background."""
    middle, error = median_contrast(statistics)
    measure = f"centre minus background is {middle:+.3f} +- {error:.3f} standard deviations of the image"
    if abs(middle) < SIGNIFICANCE * error or middle == 0:
        return False, f"The sign of the contrast is ambiguous ({measure}); white protein is assumed."
    if middle < 0:
        return True, f"Protein is dark ({measure}): the images must be inverted."
    return False, f"Protein is white ({measure})."


def median_contrast(statistics: ImageStatistics) -> tuple[float, float]:
    """Median over images of (centre - background) / standard deviation of the image, and its standard error.

    The standard error of a median is 1.2533 sigma / sqrt(n), with sigma from the median absolute deviation, so that
    neither junk nor ice decides.
    """
    values = (statistics.centre_mean - statistics.background_mean) / statistics.spread
    middle = values.median()
    sigma = 1.4826 * (values - middle).abs().median()
    return float(middle), float(1.2533 * sigma / math.sqrt(len(values)))
