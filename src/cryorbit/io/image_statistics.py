"""What the pixels of raw images tell before any reconstruction: broken images, outliers, background, contrast.

Every image is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from cryorbit.core.chunks import chunk_size, chunks
from cryorbit.execution.group import SINGLE_PROCESS, Group, from_all, share_of
from cryorbit.io.edge_padding import padding_depths, without_padding
from cryorbit.io.field_moduli import Describe, no_moduli
from cryorbit.io.fingerprint import fingerprints
from cryorbit.io.grey_levels import GreyLevels, from_neighbours
from cryorbit.io.image_stack import ImageStack

BACKGROUND_DIAMETER = 0.9
"""Background lies outside a circle of this part of the box."""
CORNER = 0.14
"""Side of a corner, in parts of the box: a little less than a circle within the box leaves free."""
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
    local_scale, local_peak
        The same of the differences between pixels and the median of their neighbours.
    spread
        Standard deviation of all pixels.
    background_mean, background_std
        Of the pixels outside the background circle.
    corner_std
        Standard deviation of the pixels in the corners, which a mask leaves without noise.
    centre_mean
        Mean of the pixels inside the centre circle.
    fingerprint
        By which copies of an image find each other.
    moduli
        By which images of overlapping fields find each other; none (``k`` = 0) where they were not asked for.
    padding
        Pixels of padding at the first and last rows, the first and last columns, which is left out of all else.
    """

    finite: Bool[Tensor, " n"]
    middle: Float[Tensor, " n"]
    scale: Float[Tensor, " n"]
    peak: Float[Tensor, " n"]
    local_scale: Float[Tensor, " n"]
    local_peak: Float[Tensor, " n"]
    spread: Float[Tensor, " n"]
    background_mean: Float[Tensor, " n"]
    background_std: Float[Tensor, " n"]
    corner_std: Float[Tensor, " n"]
    centre_mean: Float[Tensor, " n"]
    fingerprint: Float[Tensor, "n f"]
    moduli: UInt8[Tensor, "n k"]
    padding: Int[Tensor, "n 4"]

    def __getitem__(self, index: Tensor) -> ImageStatistics:
        """Statistics of the images at ``index``."""
        return ImageStatistics(*(getattr(self, field.name)[index] for field in fields(self)))


def image_statistics(
    stack: ImageStack,
    levels: GreyLevels | None = None,
    describe: Describe = no_moduli,
    group: Group = SINGLE_PROCESS,
) -> ImageStatistics:
    """Statistics of all images of a stack, read in chunks of bounded memory, at their ``levels`` if given.

    The processes of a group read a share of the images each, and all of them get the statistics of all.
    """
    pixels_bytes = 4 * stack.box**2
    # the images, their float64 copy, and temporaries of the reductions and differences
    size = chunk_size(5 * pixels_bytes, BUDGET_BYTES, len(stack))
    regions = background_and_centre(stack.box)

    def measured(part: slice) -> ImageStatistics:
        index = torch.arange(part.start, part.stop)
        images = stack.read(index)
        at_levels = images if levels is None else levels[index].apply(images)
        padding = padding_depths(images)
        return statistics_of(without_padding(at_levels, padding), padding, regions, describe)

    # chunks are the same however many processes there are, and so are the statistics
    everything = list(chunks(len(stack), size))
    shares = from_all(group, lambda: _joined(measured, share_of(everything, group)))
    return _concatenated([share for share in shares if share is not None])


def _joined(measured: Callable[[slice], ImageStatistics], parts: Sequence[slice]) -> ImageStatistics | None:
    """What is measured of chunks that follow each other; None of no chunk.

    It is written to its place at once: small arrays that stay, between the large ones that go, would keep the memory
    of these from being used again, 5 kB an image.
    """
    names = [field.name for field in fields(ImageStatistics)]
    joined: dict[str, Tensor] = {}
    for part in parts:
        first, count = parts[0].start, parts[-1].stop - parts[0].start
        mine = measured(part)
        joined = joined or {name: (each := getattr(mine, name)).new_empty(count, *each.shape[1:]) for name in names}
        for name in names:
            joined[name][part.start - first : part.stop - first] = getattr(mine, name)
    return ImageStatistics(**joined) if joined else None


def _concatenated(shares: Sequence[ImageStatistics]) -> ImageStatistics:
    """Statistics of the images of all shares."""
    if len(shares) == 1:
        return shares[0]
    names = [field.name for field in fields(ImageStatistics)]
    return ImageStatistics(**{name: torch.cat([getattr(share, name) for share in shares]) for name in names})


def background_and_centre(box: int) -> tuple[Float[Tensor, " p"], Float[Tensor, " p"]]:
    """Weights of the pixels in the mean of the background and in that of the centre."""
    coordinate = torch.arange(box) - box // 2
    radius = torch.hypot(coordinate[:, None].double(), coordinate[None, :].double()).flatten()
    masks = radius > 0.5 * BACKGROUND_DIAMETER * box, radius < 0.5 * CENTRE_DIAMETER * box
    background, centre = (mask.double() / mask.sum() for mask in masks)
    return background, centre


def statistics_of(
    images: Float[Tensor, "b y x"],
    padding: Int[Tensor, "b 4"],
    regions: tuple[Float[Tensor, " p"], Float[Tensor, " p"]],
    describe: Describe = no_moduli,
) -> ImageStatistics:
    """Statistics of images whose padding was filled; ``regions`` are those of `background_and_centre`."""
    background, centre = regions
    flat = images.flatten(1)
    lowest, highest = flat.amin(1), flat.amax(1)
    # sums of float64 need not give exactly zero for pixels that are all the same
    varied = highest > lowest
    pixels = flat.double()
    background_mean, centre_mean = pixels.mv(background), pixels.mv(centre)
    # about the mean of the background, so that no digits are lost to an offset
    pixels -= background_mean[:, None]
    total, squares = pixels.sum(1), pixels.square_()
    count, outside = flat.shape[1], int(torch.count_nonzero(background))
    variance = (squares.sum(1) - total**2 / count) / (count - 1)
    spread = torch.where(varied, variance.clamp_min(0).sqrt(), 0.0)
    background_variance = squares.mv(background) * outside / (outside - 1)
    middle, scale, peak = _peak(flat, spread)
    _, local_scale, local_peak = _peak(from_neighbours(images).flatten(1), spread)
    return ImageStatistics(
        finite=torch.isfinite(lowest) & torch.isfinite(highest),
        middle=middle,
        scale=scale,
        peak=peak,
        local_scale=local_scale,
        local_peak=local_peak,
        spread=spread,
        background_mean=background_mean,
        background_std=torch.where(varied, background_variance.sqrt(), 0.0),
        corner_std=_corners(images).std(1),
        centre_mean=centre_mean,
        fingerprint=fingerprints(images, spread),
        moduli=describe(images),
        padding=padding,
    )


def _corners(images: Float[Tensor, "b y x"]) -> Float[Tensor, "b p"]:
    """The pixels of the four corners, beyond any circle within the box, about one of them: float64."""
    side = max(1, int(CORNER * images.shape[-1]))
    ends = torch.cat([torch.arange(side), torch.arange(-side, 0)])
    corners = images[:, ends][:, :, ends].flatten(1).double()
    return corners - corners[:, :1]


def _peak(
    pixels: Float[Tensor, "b p"], spread: Float[Tensor, " b"]
) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"], Float[Tensor, " b"]]:
    """Median, robust standard deviation, and in units of that how far the farthest pixel is from the median.

    Where nearly all pixels are alike, what lies between the tails tells nothing; ``spread`` takes its place.
    """
    middle, scale = _robust(pixels)
    scale = torch.where(scale > 0, scale, spread)
    farthest = torch.maximum(pixels.amax(1) - middle, middle - pixels.amin(1))
    return middle, scale, torch.where(scale > 0, farthest / scale, 0.0)


def _robust(images: Float[Tensor, "b p"]) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
    """Median and robust standard deviation of evenly spaced pixels, float64; an odd step visits all columns."""
    step = max(1, images.shape[1] // SAMPLED_PIXELS) | 1
    # thirty times as fast as the sort of torch
    ordered = torch.from_numpy(np.sort(images[:, ::step].numpy(), axis=1))
    last = ordered.shape[1] - 1
    low, middle, high = (ordered[:, round(part * last)].double() for part in (TAIL, 0.5, 1 - TAIL))
    return middle, (high - low) / (2 * TAIL_SIGMA)
