"""Bars that all images have at one place: rows or columns, one or many, of another grey than those beside them.

They are those of a gain reference that does not fit, or of a border between parts of the camera, and may be faint. The
particle makes none: from its four sides the mean of its views has one profile, and no bar of the other three sides.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from cryorbit.io.common_defects import MEDIAN_ERROR, SIDES, SURE

LEAST_BAR = 0.1
"""A bar stands so many standard deviations of an image, and `SURE` standard errors, out of the profile. In sound sets,
real and simulated, the profile stands out of its other sides by 0.05 at most."""
WIDEST = 0.25
"""Width of a bar at most, in boxes; those beside it tell what it stands out of."""
OFF_CENTRE = 2
"""Pixels by which the mean of the particles may be off centre."""
STEP, STEP_WIDTH = 0.5, 2
"""Part of its height that a bar has throughout, and loses within so many pixels."""


def common_bars(images: Float[Tensor, "b y x"]) -> Bool[Tensor, "y x"]:
    """Mask of the rows and columns that make bars in the median of normalised images."""
    typical = images.median(0).values
    rows, columns = _rows_of_bars(typical, _error(images.mean(2))), _rows_of_bars(typical.mT, _error(images.mean(1)))
    return rows[:, None] | columns[None, :]


def _error(profiles: Float[Tensor, "b n"]) -> Float[Tensor, " n"]:
    """Standard error of the profile, by medians, of the median of images that have these profiles, by means."""
    return MEDIAN_ERROR**2 * profiles.std(0) / math.sqrt(len(profiles))


def _rows_of_bars(typical: Float[Tensor, "y x"], error: Float[Tensor, " y"]) -> Bool[Tensor, " y"]:
    """Mask of the rows of a median image that make bars, given the standard error of their means.

    A bar is a run of rows between two steps, some of which certainly stand out of the other three sides. Its height is
    that of most of its pixels beside what lies across it, so that no single pixel makes one.
    """
    reliefs = torch.stack([_in_relief(typical.rot90(turns).mean(1)) for turns in range(SIDES)])
    level = (typical - 0.5 * (typical.rot90(1) + typical.rot90(3))).median(1).values
    level = level - level.median()
    bars = torch.zeros_like(error, dtype=torch.bool)
    for sign in (1.0, -1.0):
        height = sign * level
        others = functional.max_pool1d(sign * reliefs[1:], 2 * OFF_CENTRE + 1, stride=1, padding=OFF_CENTRE).amax(0)
        certain = torch.minimum(sign * reliefs[0] - others, height) > (SURE * error).clamp_min(LEAST_BAR)
        if bool(certain.any()):
            for run in _runs(height > STEP * height[certain].median()):
                bars[run] |= certain[run].any() & _has_steps(height, run)
    return bars


def _in_relief(profile: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """A profile less the median of what lies about each place."""
    reach = int(WIDEST * len(profile))
    around = functional.pad(profile, (reach, reach), value=torch.nan).unfold(0, 2 * reach + 1, 1)
    return profile - around.nanmedian(-1).values


def _runs(mask: Bool[Tensor, " n"]) -> list[slice]:
    """The unbroken runs of a mask."""
    ends = torch.nonzero(functional.pad(mask.long(), (1, 1)).diff())[:, 0].tolist()
    return [slice(first, last) for first, last in zip(ends[::2], ends[1::2], strict=True)]


def _has_steps(height: Float[Tensor, " n"], run: slice) -> bool:
    """Whether the heights fall at once at both ends of a run, but for the border."""
    least = STEP * float(height[run].median())
    beside = [(run.start, run.start - STEP_WIDTH), (run.stop - 1, run.stop - 1 + STEP_WIDTH)]
    inside = [(end, out) for end, out in beside if 0 <= out < len(height)]
    return all(float(height[end] - height[out]) > least for end, out in inside)
