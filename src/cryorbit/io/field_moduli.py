"""By what images of overlapping fields of a micrograph are alike: the moduli of their Fourier transforms.

An image that is moved keeps them, but for its border, and noise gives every field moduli of its own. Images without
noise are alike where particles are, and tell nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from cryorbit.fourier.shells import ring_indices, shell_sums

LOW, HIGH = 0.3, 0.6
"""Parts of Nyquist between which images are compared: below, particles are alike, and above, half a pixel counts."""
SMALLEST = 64
"""Side of the middle of an image that its moduli are kept of, at least: half the box, whose transform costs a fifth."""
KEPT = 256
"""Moduli of an image that are kept, at most: by chance, those of two fields correlate by 0.07, of a million by 0.35."""
STEPS = 64
"""Steps of what is kept, to the mean modulus of a ring; noise goes three times as far."""

Describe: TypeAlias = Callable[[Float[Tensor, "b y x"]], UInt8[Tensor, "b k"]]
"""What is kept of images beside their statistics."""


def no_moduli(images: Float[Tensor, "b y x"]) -> UInt8[Tensor, "b 0"]:
    """Nothing, where nobody will compare the images."""
    return images.new_empty((len(images), 0), dtype=torch.uint8)


def field_moduli(images: Float[Tensor, "b y x"]) -> UInt8[Tensor, "b k"]:
    """Moduli of the middle of images, in `STEPS`: enough to tell which images are to be compared as a whole."""
    box = images.shape[-1]
    side = min(box, max(SMALLEST, box // 4 * 2))
    first = (box - side) // 2
    middle = images[:, first : first + side, first : first + side]
    kept: UInt8[Tensor, "b k"] = (STEPS * band_moduli(middle, KEPT)).nan_to_num_(0.0).round_().clamp_(0, 255).byte()
    return kept


def band_moduli(images: Float[Tensor, "b y x"], most: int) -> Float[Tensor, "b k"]:
    """At most so many moduli of each image in the band, evenly spaced; each ring of one image has mean 1."""
    where, rings = _band(images.shape[-1])
    moduli = torch.fft.rfft2(images).flatten(1).index_select(1, where).abs()
    counts = torch.bincount(rings)
    means = shell_sums(moduli, rings, len(counts)) / counts
    step = max(1, -(-len(where) // most))
    normalised: Tensor = moduli[:, ::step] / means[:, rings[::step]].clamp_min(torch.finfo(moduli.dtype).tiny)
    return normalised


def likeness(moduli: Float[Tensor, "k m"]) -> Float[Tensor, "k k"]:
    """Correlation of the moduli of each two images."""
    directions = torch.nn.functional.normalize(moduli - moduli.mean(1, keepdim=True), dim=1)
    return directions @ directions.mT


def in_band(box: int) -> Bool[Tensor, "y h"]:
    """Mask of the coefficients of the half spectrum that are in the band."""
    rings = ring_indices(box)
    return (rings > LOW * box / 2) & (rings <= HIGH * box / 2)


@cache
def _band(box: int) -> tuple[Int[Tensor, " k"], Int[Tensor, " k"]]:
    """Places of the band in the flat half spectrum, and their rings, counted from that of the innermost."""
    where = torch.nonzero(in_band(box).flatten())[:, 0]
    rings = ring_indices(box).flatten()[where]
    return where, rings - (int(LOW * box / 2) + 1)
