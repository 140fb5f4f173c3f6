"""What the grey values of a set are, and what is done to each of its images: one verdict for jobs and inspections."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cryorbit.io.contrast import image_contrasts, judge_contrast
from cryorbit.io.grey_levels import GreyLevels
from cryorbit.io.image_stack import ImageStack
from cryorbit.io.image_statistics import ImageStatistics
from cryorbit.io.normalisation import background_levels, judge_normalisation
from cryorbit.io.survey import survey

FILLED = "replaced by the median"
NOT_FINITE, CONSTANT = "pixels that are not finite", "a constant image"
ROUNDING = 4 * torch.finfo(torch.float32).eps
"""Part of the grey value below which differences between pixels are rounding."""


@dataclass(frozen=True, slots=True)
class GreyValues:
    """The verdict on the grey values of N images.

    Attributes
    ----------
    inverted
        Whether the protein is dark, so that the images must be multiplied by -1.
    contrast
        One sentence on the sign of the contrast.
    contrasts
        That of each image, as `image_contrasts` gives it.
    needs_normalisation
        Whether backgrounds are far from mean 0 and standard deviation 1.
    normalisation
        One sentence on the normalisation.
    masked
        Whether the images hold no noise outside the particle.
    levels
        What is done to the pixels of each image; None where nothing is done to any.
    repairs
        What single images have that others have not, and what is done about it, by the index of the image.
    """

    inverted: bool
    contrast: str
    contrasts: Float[Tensor, " n"]
    needs_normalisation: bool
    normalisation: str
    masked: bool
    levels: GreyLevels | None
    repairs: dict[int, str]


def broken_images(statistics: ImageStatistics) -> dict[str, Bool[Tensor, " n"]]:
    """Masks of the images that nothing can be done for, by reason."""
    rounding = (ROUNDING * statistics.middle.abs()).clamp_min(torch.finfo(torch.float32).tiny)
    return {NOT_FINITE: ~statistics.finite, CONSTANT: statistics.finite & ~(statistics.spread > rounding)}


def judge_grey_values(statistics: ImageStatistics, outliers: GreyLevels, *, premultiplied: bool = False) -> GreyValues:
    """The verdict on images that are finite and not constant.

    Parameters
    ----------
    statistics, outliers
        As ``survey.survey`` finds them.
    premultiplied
        Whether the images were multiplied with their CTF.
    """
    contrasts = image_contrasts(statistics)
    inverted, contrast = judge_contrast(contrasts)
    normalisation = judge_normalisation(statistics, premultiplied=premultiplied)
    levels = replace(outliers, offset=normalisation.offset.float(), gain=normalisation.gain.float())
    changed = levels.spoilt is not None or bool((levels.has_outliers | levels.padded | levels.moved).any())
    repairs = _repairs(statistics, levels, normalisation.odd)
    return GreyValues(
        inverted=inverted,
        contrast=contrast,
        contrasts=contrasts,
        needs_normalisation=normalisation.needed,
        normalisation=normalisation.sentence,
        masked=normalisation.masked,
        levels=levels if changed else None,
        repairs=repairs,
    )


def normalised_levels(stack: ImageStack) -> GreyLevels:
    """Levels at which every image of a stack has a background of mean 0 and standard deviation 1, and no outliers."""
    statistics, outliers = survey(stack)
    offset, gain = background_levels(statistics)
    return replace(outliers, offset=offset.float(), gain=gain.float())


def _repairs(statistics: ImageStatistics, levels: GreyLevels, odd: Bool[Tensor, " n"]) -> dict[int, str]:
    """What is said of the images that are repaired."""
    outlying = levels.has_outliers
    said: dict[int, list[str]] = {int(index): [] for index in torch.nonzero(levels.padded | outlying | odd)[:, 0]}
    for index, reasons in said.items():
        if levels.padded[index]:
            depth = int(levels.padding[index].amax())
            reasons.append(f"{depth} px of padding at the edge of the micrograph ({FILLED})")
        if outlying[index]:
            peak = float(statistics.peak[index])
            reasons.append(f"a pixel {peak:.3g} standard deviations from the others ({FILLED})")
        if odd[index]:
            mean, std = float(statistics.background_mean[index]), float(statistics.background_std[index])
            reasons.append(f"a background of mean {mean:.3g} and standard deviation {std:.3g} (normalised)")
    return {index: "; ".join(reasons) for index, reasons in said.items()}
