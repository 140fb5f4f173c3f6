"""Whether the backgrounds of images have mean 0 and standard deviation 1, and what brings them there.

A set that nobody normalised is normalised as a whole, every image by its own background. In a set that is normalised,
the odd image of another kind (raw grey values, say) is brought to the background of the others, and these keep every
bit.

Images that were multiplied with their CTF have a noise that differs with the CTF, as it should: dividing it out would
change the weight of the particles. They are never normalised as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cryorbit.io.edge_padding import is_padded
from cryorbit.io.image_statistics import ImageStatistics

LARGEST_MEAN, LARGEST_FACTOR = 0.5, 2.0
"""RELION's limits on a background: its mean, and the factor between its standard deviation and what that should be.

In real sets whose images were normalised, 0.13 and 1.08 are the most.
"""
LARGEST_FACTOR_PREMULTIPLIED = 4.0
"""The factor where the noise follows the CTF; it is 2.5 in a real tilt series."""
BADLY_NORMALISED = 0.01
"""Part of the images outside the limits above which all are normalised."""
MOSTLY = 0.5
"""Part of the images that are masked where the set is said to be."""
NO_NOISE = 1e-4
"""Part of its image's standard deviation below which that of a background is rounding: the image was masked."""
FAINT, GRAINY = 0.02, 0.85
"""Part of the differences between neighbouring pixels that a mask leaves in the corners, at most; and the part of the
standard deviation of the image that they are, at least, where they are noise: without noise it is 0.7."""


@dataclass(frozen=True, slots=True)
class Normalisation:
    """The verdict on the normalisation of N images.

    Attributes
    ----------
    needed
        Whether every image must be normalised.
    odd
        Mask of the images whose background is not that of the others; of none where the others are not normalised.
    masked
        Whether most images hold no noise in their corners.
    sentence
        What was found.
    offset, gain
        What is taken out of each image, grey values becoming ``(x - offset) * gain``; 0 and 1 where they are kept.
    """

    needed: bool
    odd: Bool[Tensor, " n"]
    masked: bool
    sentence: str
    offset: Float[Tensor, " n"]
    gain: Float[Tensor, " n"]


def judge_normalisation(statistics: ImageStatistics, *, premultiplied: bool = False) -> Normalisation:
    """Judge the backgrounds of N images by RELION's limits, and by each other.

    Padded images, whose padding counted when they were normalised, do not speak for the set.
    """
    mean, std = statistics.background_mean, statistics.background_std
    padded = is_padded(statistics.padding)
    speaking = ~padded if not bool(padded.all()) else padded
    typical_mean, typical_std = mean[speaking].median(), std[speaking].median()
    outside = _outside(mean / std, std, LARGEST_FACTOR)
    measure = f"background mean {float(typical_mean):.3g}, standard deviation {float(typical_std):.3g} (medians)"
    part = float(outside[speaking].double().mean())
    needed = part > BADLY_NORMALISED and not premultiplied
    masked = float(_is_masked(statistics).double().mean())
    if masked > MOSTLY:
        sentence = f"The images were masked: {100 * masked:.0f} % hold no noise in the corners of the box ({measure})."
    elif premultiplied:
        sentence = f"Grey values are taken as they are: the images were multiplied with their CTF ({measure})."
    elif needed:
        sentence = f"{100 * part:.0f} % of the images are not normalised: {measure}; expected 0 and 1."
    else:
        sentence = f"The images are normalised: {measure}."
    factor = LARGEST_FACTOR_PREMULTIPLIED if premultiplied else LARGEST_FACTOR
    odd = _outside((mean - typical_mean) / typical_std, std / typical_std, factor)
    # beside images that nobody normalised, or that are all masked, none is odd
    ordinary = premultiplied or not bool(_outside(typical_mean / typical_std, typical_std, LARGEST_FACTOR))
    odd &= ordinary and bool(typical_std > 0)
    offset, gain = background_levels(statistics)
    if not needed:
        gain = torch.where(odd, gain * typical_std, 1.0)
        offset = torch.where(odd, offset - typical_mean / gain, 0.0)
    return Normalisation(needed, odd, masked > MOSTLY, sentence, offset, gain)


def background_levels(statistics: ImageStatistics) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Offset and gain that give each image a background of mean 0 and standard deviation 1.

    Where a background holds no noise, all pixels get standard deviation 1 instead.
    """
    std, spread = statistics.background_std, statistics.spread
    return statistics.background_mean, 1 / torch.where(std > NO_NOISE * spread, std, spread)


def _is_masked(statistics: ImageStatistics) -> Bool[Tensor, " n"]:
    """Mask of the images without noise in their corners, or with hardly any where there is much elsewhere."""
    silent = statistics.corner_std <= NO_NOISE * statistics.spread
    faint = statistics.corner_std <= FAINT * statistics.local_scale
    return silent | (faint & (statistics.local_scale >= GRAINY * statistics.spread))


def _outside(mean: Float[Tensor, "*n"], std: Float[Tensor, "*n"], factor: float) -> Bool[Tensor, "*n"]:
    """Whether backgrounds are outside the limits; one without any noise is."""
    return ~((mean.abs() <= LARGEST_MEAN) & (std >= 1 / factor) & (std <= factor))
