"""What the pixels of raw images tell before any reconstruction: broken images, normalisation, contrast."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cryorbit.core.chunks import chunk_size, chunks
from cryorbit.io.image_stack import ImageStack

BACKGROUND_DIAMETER = 0.9
"""Background lies outside a circle of this part of the box."""
CENTRE_DIAMETER = 0.4
"""The particle is looked for inside a circle of this part of the box."""
BUDGET_BYTES = 128 * 2**20


@dataclass(frozen=True, slots=True)
class ImageStatistics:
    """Statistics of N images.

    Attributes
    ----------
    finite
        Whether every pixel is a finite number.
    spread
        Standard deviation of all pixels.
    background_mean, background_std
        Of the pixels outside the background circle.
    centre_mean
        Mean of the pixels inside the centre circle.
    """

    finite: Bool[Tensor, " n"]
    spread: Float[Tensor, " n"]
    background_mean: Float[Tensor, " n"]
    background_std: Float[Tensor, " n"]
    centre_mean: Float[Tensor, " n"]

    def __getitem__(self, index: Tensor) -> ImageStatistics:
        """Statistics of the images at ``index``."""
        return ImageStatistics(*(getattr(self, field.name)[index] for field in fields(self)))


def image_statistics(stack: ImageStack) -> ImageStatistics:
    """Statistics of all images of a stack, read in chunks of bounded memory."""
    pixels_bytes = 4 * stack.box**2
    # the images, their float64 copy, and temporaries of the reductions
    size = chunk_size(5 * pixels_bytes, BUDGET_BYTES, len(stack))
    parts = [_of_images(stack.read(torch.arange(len(stack))[part])) for part in chunks(len(stack), size)]
    return ImageStatistics(
        *(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(ImageStatistics))
    )


def median_contrast(statistics: ImageStatistics) -> tuple[float, float]:
    """Median over images of (centre - background) / standard deviation of the image, and its standard error.

    The standard error of a median is 1.2533 sigma / sqrt(n), with sigma from the median absolute deviation, so that
    neither junk nor ice decides.
    """
    values = (statistics.centre_mean - statistics.background_mean) / statistics.spread
    middle = values.median()
    sigma = 1.4826 * (values - middle).abs().median()
    return float(middle), float(1.2533 * sigma / math.sqrt(len(values)))


def _of_images(images: Float[Tensor, "b y x"]) -> ImageStatistics:
    coordinate = torch.arange(images.shape[-1]) - images.shape[-1] // 2
    radius = torch.hypot(coordinate[:, None].double(), coordinate[None, :].double())
    background = radius > 0.5 * BACKGROUND_DIAMETER * images.shape[-1]
    centre = radius < 0.5 * CENTRE_DIAMETER * images.shape[-1]
    finite = torch.isfinite(images).all(-1).all(-1)
    pixels = images.double()
    outside = pixels[:, background]
    return ImageStatistics(
        finite=finite,
        spread=pixels.flatten(1).std(dim=1),
        background_mean=outside.mean(dim=1),
        background_std=outside.std(dim=1),
        centre_mean=pixels[:, centre].mean(dim=1),
    )
