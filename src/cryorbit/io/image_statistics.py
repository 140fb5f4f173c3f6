"""What the pixels of raw images tell before any reconstruction: broken images, outliers, background, contrast.

Every image is measured. Sums over all pixels are only as good as the worst pixel, so outliers are found first, and the
images that have some are measured again without them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cryorbit.core.chunks import chunk_size, chunks
from cryorbit.io.grey_levels import GreyLevels
from cryorbit.io.image_stack import ImageStack

BACKGROUND_DIAMETER = 0.9
"""Background lies outside a circle of this part of the box."""
CENTRE_DIAMETER = 0.4
"""The particle is looked for inside a circle of this part of the box."""
BUDGET_BYTES = 16 * 2**20
"""Temporaries of a chunk; few enough to stay in the cache of the processor."""
SAMPLED_PIXELS = 1024
"""Pixels of an image, at least, that tell its median and its robust standard deviation."""
TAIL = 0.02
"""Part of the pixels at either end that the robust standard deviation does not see."""
TAIL_SIGMA = 2.0537
"""Where the tail of a normal distribution begins, standard deviations."""
FAR = 3.0
"""A pixel is an outlier this many times as far out as the farthest pixel of an ordinary image."""
ORDINARY = 0.25
"""The ordinary image is that with this part of the set below it, so that three in four may have outliers."""


@dataclass(frozen=True, slots=True)
class ImageStatistics:
    """Statistics of N images.

    Attributes
    ----------
    finite
        Whether every pixel is a finite number.
    middle
        Median of the pixels.
    scale
        Robust standard deviation of the pixels, from the distance between the tails.
    peak
        How far the farthest pixel is from the median, in units of ``scale``.
    spread
        Standard deviation of all pixels.
    background_mean, background_std
        Of the pixels outside the background circle.
    centre_mean
        Mean of the pixels inside the centre circle.
    """

    finite: Bool[Tensor, " n"]
    middle: Float[Tensor, " n"]
    scale: Float[Tensor, " n"]
    peak: Float[Tensor, " n"]
    spread: Float[Tensor, " n"]
    background_mean: Float[Tensor, " n"]
    background_std: Float[Tensor, " n"]
    centre_mean: Float[Tensor, " n"]

    def __getitem__(self, index: Tensor) -> ImageStatistics:
        """Statistics of the images at ``index``."""
        return ImageStatistics(*(getattr(self, field.name)[index] for field in fields(self)))


def image_statistics(stack: ImageStack, levels: GreyLevels | None = None) -> ImageStatistics:
    """Statistics of all images of a stack, read in chunks of bounded memory, at their ``levels`` if given."""
    pixels_bytes = 4 * stack.box**2
    # the images, their float64 copy, and temporaries of the reductions
    size = chunk_size(5 * pixels_bytes, BUDGET_BYTES, len(stack))
    regions = _regions(stack.box)
    parts = []
    for part in chunks(len(stack), size):
        images = stack.read(torch.arange(part.start, part.stop))
        at_levels = images if levels is None else levels[torch.arange(part.start, part.stop)].apply(images)
        parts.append(_of_images(at_levels.flatten(1), regions))
    return ImageStatistics(
        *(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(ImageStatistics))
    )


def survey(stack: ImageStack) -> tuple[ImageStatistics, Float[Tensor, " n"]]:
    """Statistics of all images, those with outlying pixels without them, and the reach of each image.

    Returns
    -------
    statistics
        ``peak`` is that of the image as it is stored, everything else is free of outliers.
    reach
        Distance from the median beyond which a pixel is an outlier; infinite where the image has none.
    """
    statistics = image_statistics(stack)
    reach = outlier_reach(statistics)
    where = torch.nonzero(reach < torch.inf)[:, 0]
    if not len(where):
        return statistics, reach
    known = statistics[where]
    plain = torch.zeros(len(where))
    levels = GreyLevels(known.middle.float(), reach[where].float(), plain, plain + 1)
    clean = image_statistics(stack.subset(where.numpy()), levels)
    merged = {}
    for field in fields(ImageStatistics):
        values = getattr(statistics, field.name)
        taken = known if field.name in {"peak", "middle", "scale"} else clean
        merged[field.name] = values.index_copy(0, where, getattr(taken, field.name))
    return ImageStatistics(**merged), reach


def outlier_reach(statistics: ImageStatistics) -> Float[Tensor, " n"]:
    """Distance from its median beyond which a pixel of an image is an outlier; infinite where the image has none.

    What is ordinary, the set says itself: the farthest of many noisy pixels lies three to five standard deviations out,
    that of an image with little noise wherever the particle is brightest.
    """
    varied = statistics.finite & (statistics.scale > 0)
    if not bool(varied.any()):
        return torch.full_like(statistics.peak, torch.inf)
    farthest = FAR * torch.quantile(statistics.peak[varied], ORDINARY, interpolation="lower")
    return torch.where(varied & (statistics.peak > farthest), farthest * statistics.scale, torch.inf)


def _regions(box: int) -> tuple[Float[Tensor, " p"], Float[Tensor, " p"]]:
    """Weights of the pixels in the mean of the background and in that of the centre."""
    coordinate = torch.arange(box) - box // 2
    radius = torch.hypot(coordinate[:, None].double(), coordinate[None, :].double()).flatten()
    masks = radius > 0.5 * BACKGROUND_DIAMETER * box, radius < 0.5 * CENTRE_DIAMETER * box
    background, centre = (mask.double() / mask.sum() for mask in masks)
    return background, centre


def _of_images(
    images: Float[Tensor, "b p"], regions: tuple[Float[Tensor, " p"], Float[Tensor, " p"]]
) -> ImageStatistics:
    lowest, highest = images.amin(1), images.amax(1)
    background, centre = regions
    pixels = images.double()
    background_mean, centre_mean = pixels.mv(background), pixels.mv(centre)
    middle, scale = _robust(images)
    # sums of float64 need not give exactly zero for pixels that are all the same
    varied = highest > lowest
    # about the mean of the background, so that no digits are lost to an offset
    pixels -= background_mean[:, None]
    total, squares = pixels.sum(1), pixels.square_()
    count, outside = images.shape[1], int(torch.count_nonzero(background))
    variance = (squares.sum(1) - total**2 / count) / (count - 1)
    spread = torch.where(varied, variance.clamp_min(0).sqrt(), 0.0)
    background_variance = squares.mv(background) * outside / (outside - 1)
    # where nearly all pixels are alike, what lies between the tails tells nothing
    scale = torch.where(scale > 0, scale, spread)
    farthest = torch.maximum(highest - middle, middle - lowest)
    return ImageStatistics(
        finite=torch.isfinite(lowest) & torch.isfinite(highest),
        middle=middle,
        scale=scale,
        peak=torch.where(scale > 0, farthest / scale, 0.0),
        spread=spread,
        background_mean=background_mean,
        background_std=torch.where(varied, background_variance.sqrt(), 0.0),
        centre_mean=centre_mean,
    )


def _robust(images: Float[Tensor, "b p"]) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
    """Median and robust standard deviation of evenly spaced pixels, float64; an odd step visits all columns."""
    step = max(1, images.shape[1] // SAMPLED_PIXELS) | 1
    # thirty times as fast as the sort of torch
    ordered = torch.from_numpy(np.sort(images[:, ::step].numpy(), axis=1))
    last = ordered.shape[1] - 1
    low, middle, high = (ordered[:, round(part * last)].double() for part in (TAIL, 0.5, 1 - TAIL))
    return middle, (high - low) / (2 * TAIL_SIGMA)
