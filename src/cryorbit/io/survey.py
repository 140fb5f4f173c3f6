"""Every image measured, and what is spoilt found: pixels of single images, and those that are spoilt in all.

Sums over all pixels are only as good as the worst pixel, so outliers are found first, and the images that have some are
measured again without them. A pixel that is out at one place in most images is a defect of the camera, or of a program:
what an ordinary image is, images tell without it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cryorbit.execution.group import SINGLE_PROCESS, Group
from cryorbit.io.common_bars import common_bars
from cryorbit.io.common_defects import common_lines, common_marks, common_pixels
from cryorbit.io.edge_padding import without_padding
from cryorbit.io.field_moduli import Describe, no_moduli
from cryorbit.io.grey_levels import FAR, GreyLevels, from_neighbours
from cryorbit.io.image_stack import ImageStack
from cryorbit.io.image_statistics import ImageStatistics, background_and_centre, image_statistics, statistics_of

ORDINARY = 0.25
"""Ordinary is a farthest pixel that this part of the images falls short of: three in four may have outliers."""
BESIDE = 2.5
"""Times that the farthest pixel of an ordinary image is as far out as that of its centre where something lies beside
the particle; noise makes 1.2, and the particle less."""
DEFECT_SAMPLE, FEWEST_FOR_DEFECTS = 200, 20
"""Images whose median shows defects that all have: at most, and at least."""


def survey(
    stack: ImageStack, describe: Describe = no_moduli, group: Group = SINGLE_PROCESS
) -> tuple[ImageStatistics, GreyLevels]:
    """Statistics of all images, and levels that replace the outlying pixels and do nothing else.

    Of images with outliers, ``peak`` is that of the image as it is stored; everything else is without them. Pixels that
    are spoilt in all images, and no outliers, are left out of all.

    Parameters
    ----------
    stack
        The images.
    describe
        What is kept of them as ``moduli``, since they are read only once.
    group
        The processes that read a share of them each.
    """
    statistics, spoilt = image_statistics(stack, describe=describe, group=group), None
    sample = _sample(stack, statistics)
    levels = _levels(statistics, sample, spoilt)
    for find in (_lines, _bars, _marks):
        found = None if sample is None else find(sample, levels)
        if found is None or not bool(found.any()):
            continue
        spoilt = found if spoilt is None else spoilt | found
        statistics = image_statistics(stack, replace(unchanged_levels(statistics), spoilt=spoilt), describe, group)
        sample = _sample(stack, statistics)
        levels = _levels(statistics, sample, spoilt)
    where = torch.nonzero(levels.has_outliers)[:, 0]
    if not len(where):
        return statistics, levels
    clean = image_statistics(stack.subset(where.numpy()), levels[where], describe, group)
    merged = {
        field.name: getattr(statistics, field.name).index_copy(0, where, getattr(clean, field.name))
        for field in fields(ImageStatistics)
    }
    return ImageStatistics(**(merged | {"peak": statistics.peak})), levels


def outlier_levels(statistics: ImageStatistics, healthy: ImageStatistics | None = None) -> GreyLevels:
    """Levels that replace the outlying pixels of images.

    What is ordinary, the set says itself: the farthest of many noisy pixels lies three to five standard deviations out,
    that of an image with little noise wherever the particle is brightest.

    Parameters
    ----------
    statistics
        Of the images.
    healthy
        Of images that tell what is ordinary; None for the images themselves.
    """
    varied = _varied(statistics)
    told = statistics[varied] if healthy is None else healthy
    ordinary, ordinary_local = (_ordinary(peak) for peak in (told.peak, told.local_peak))
    far = statistics.peak > FAR * ordinary
    alone = (statistics.local_peak > FAR * ordinary_local) & (statistics.peak > ordinary)
    reach = torch.where(varied & (far | alone), FAR * ordinary * statistics.scale, torch.inf).float()
    local_reach = torch.where(reach < torch.inf, FAR * ordinary_local * statistics.local_scale, torch.inf).float()
    return replace(unchanged_levels(statistics), reach=reach, local_reach=local_reach)


def unchanged_levels(statistics: ImageStatistics) -> GreyLevels:
    """Levels that replace the padding of images and nothing else."""
    kept = torch.zeros(len(statistics.middle))
    return GreyLevels(
        middle=statistics.middle.float(),
        reach=torch.full_like(kept, torch.inf),
        local_reach=torch.full_like(kept, torch.inf),
        offset=kept,
        gain=torch.ones_like(kept),
        padding=statistics.padding,
    )


def _varied(statistics: ImageStatistics) -> Bool[Tensor, " n"]:
    return statistics.finite & (statistics.scale > 0)


@dataclass(frozen=True, slots=True)
class _Sample:
    """Some images of a stack.

    Attributes
    ----------
    index
        Which.
    images
        Of median 0 and standard deviation 1, without padding.
    middle, scale
        What they had before.
    padding
        Of the images as they are stored.
    """

    index: Int[Tensor, " b"]
    images: Float[Tensor, "b y x"]
    middle: Float[Tensor, " b"]
    scale: Float[Tensor, " b"]
    padding: Int[Tensor, "b 4"]


def _sample(stack: ImageStack, statistics: ImageStatistics) -> _Sample | None:
    """An even sample of the images; None of a few."""
    usable = torch.nonzero(_varied(statistics))[:, 0]
    if len(usable) < FEWEST_FOR_DEFECTS:
        return None
    chosen = usable[torch.linspace(0, len(usable) - 1, min(DEFECT_SAMPLE, len(usable))).round().long()]
    middle, scale = (each[chosen].float() for each in (statistics.middle, statistics.scale))
    padding = statistics.padding[chosen]
    images = (stack.read(chosen) - middle[:, None, None]) / scale[:, None, None]
    return _Sample(chosen, without_padding(images, padding), middle, scale, padding)


def _levels(statistics: ImageStatistics, sample: _Sample | None, spoilt: Bool[Tensor, "y x"] | None) -> GreyLevels:
    """Levels that replace outliers, by what is ordinary without the pixels that are spoilt in most images."""
    return replace(outlier_levels(statistics, _healthy(sample, spoilt)), spoilt=spoilt)


def _lines(sample: _Sample, _levels: GreyLevels) -> Bool[Tensor, "y x"]:
    return common_lines(sample.images)


def _bars(sample: _Sample, levels: GreyLevels) -> Bool[Tensor, "y x"]:
    return common_bars(_replaced(sample, levels))


def _marks(sample: _Sample, levels: GreyLevels) -> Bool[Tensor, "y x"]:
    """What all images have at one place and no level takes out of them."""
    return common_marks(_replaced(sample, levels))


def _replaced(sample: _Sample, levels: GreyLevels) -> Float[Tensor, "b y x"]:
    """The images without what levels take out of them."""
    theirs, images = levels[sample.index], sample.images
    outliers = theirs.outliers(images * sample.scale[:, None, None] + sample.middle[:, None, None])
    if levels.spoilt is not None:
        outliers = outliers | levels.spoilt
    return images.masked_fill(outliers, 0.0)


def _healthy(sample: _Sample | None, spoilt: Bool[Tensor, "y x"] | None) -> ImageStatistics | None:
    """Statistics of a sample without what is spoilt in most images; None where the images themselves tell.

    Where most images have something far out beside the particle (a bead of gold, say), each at a place of its own, the
    farthest pixel is that of the centre.
    """
    if sample is None:
        return None
    images = sample.images if spoilt is None else sample.images.masked_fill(spoilt, 0.0)
    defects = common_pixels(images)
    images = images.masked_fill(defects, 0.0)
    centre = background_and_centre(images.shape[-1])[1] > 0
    farthest, in_centre = (each.abs().amax(1) for each in (images.flatten(1), images.flatten(1)[:, centre]))
    beside = _ordinary(farthest) > BESIDE * _ordinary(in_centre)
    if spoilt is None and not bool(defects.any()) and not beside:
        return None
    statistics = statistics_of(images, sample.padding, background_and_centre(images.shape[-1]))
    if not beside:
        return statistics
    local = from_neighbours(images).flatten(1)[:, centre].abs().amax(1) / statistics.local_scale
    return replace(statistics, peak=in_centre / statistics.scale, local_peak=local)


def _ordinary(peak: Float[Tensor, " m"]) -> float:
    return float(torch.quantile(peak, ORDINARY, interpolation="lower")) if len(peak) else math.inf
