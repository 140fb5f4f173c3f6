"""Whether images were multiplied with their CTF, told by their noise.

Noise enters behind the lens: it does not know the CTF, and its power is as large where the CTF vanishes as anywhere.
In an image that was multiplied with its CTF it is proportional to CTF^2, and vanishes with it. The signal is
proportional to CTF^2 or CTF^4, so that only frequencies at which noise prevails can tell: the power of the images in
bands of frequencies is laid against CTF^2. Where the corners of the images have nearly as much of it as the whole, the
outer bands decide. The outer half of the frequencies of one image tells as much of that image, with a standard error of
0.05 to 0.1: a mixture has two peaks.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cryorbit.core.data import CTFParams
from cryorbit.fourier.half_disc import HalfDisc, half_disc, image_transform
from cryorbit.fourier.shells import shell_sums
from cryorbit.imaging.ctf import ctf_values, electron_wavelength
from cryorbit.imaging.masks import soft_ball
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.inference.noise import shell_means, vanishing_shell

Multiplication: TypeAlias = Literal["multiplied", "not multiplied", "unknown"]
READ_BATCH = 100
BANDS = 16
SLOW = math.pi / 4
"""Phase by which the CTF may turn between two coefficients: where it turns faster, its zeros are blurred."""
SURE = 0.05
"""Standard error, as a part of a band's mean power, up to which its power at the zeros of the CTF counts as known."""
FOLLOWS, REMAINS = 0.25, 0.6
"""Part of the mean power left at the zeros of the CTF: at most the first in images that were multiplied, at least the
second in images that were not. In real and simulated sets it is at most 0.1, and at least 0.8."""
NOISY = 0.6
"""Part of a band's power that stands in the corners of the images, too, from which on noise prevails in it."""
CORNERS, EDGE = 0.45, 0.1
"""Distance from the centre, in boxes, from which on an image is corner, and the width over which it becomes it."""
SURE_OF_ONE = 0.15
"""Standard error, in the same units, up to which one image tells of itself."""
FEWEST_OF_A_KIND, LEAST_PART, MOST_BETWEEN = 20, 0.05, 0.2
"""Images that make a kind of their own, at least, and the part of the set that they are; and images between the
kinds, at most, as a part of the rarer."""


def judge_multiplication(source: ParticleSource, index: Int[Tensor, " m"]) -> Multiplication:
    """Whether images were multiplied with their CTF, whatever is said of them.

    It is unknown where noise does not prevail, as in images that a filter has taken it from.

    Parameters
    ----------
    source
        The images, with their CTF parameters.
    index
        Those that are looked at; a few hundred are enough.
    """
    if _are_filtered(source, index):
        return "unknown"
    left = left_at_zeros(_sums(source, source.unpadded(index)))
    if left is None:
        return "unknown"
    if left > REMAINS:
        return "not multiplied"
    return "multiplied" if left < FOLLOWS else "unknown"


def multiplied_images(source: ParticleSource, index: Int[Tensor, " m"]) -> Bool[Tensor, " m"] | None:
    """Mask of the images that were multiplied with their CTF, where others clearly were not; None for sets of one kind.

    Parameters
    ----------
    source, index
        As for `judge_multiplication`.
    """
    if _are_filtered(source, index):
        return None
    disc = half_disc(source.box, source.box / 2).to(source.device)
    outer = disc.frequencies.norm(dim=1) > source.box / 4
    parts = [_left_in_each(source, index[part], disc, outer) for part in source.batches(len(index), READ_BATCH)]
    left, error = (torch.cat(each).cpu() for each in zip(*parts, strict=True))
    kinds = two_kinds(left, error)
    if kinds is None:
        return None
    low, high = kinds
    # that noise prevails is seen where it remains
    return low if judge_multiplication(source, index[high]) == "not multiplied" else None


def two_kinds(
    left: Float[Tensor, " m"], error: Float[Tensor, " m"]
) -> tuple[Bool[Tensor, " m"], Bool[Tensor, " m"]] | None:
    """Masks of images that leave little and that leave most where their CTF vanishes, by what is left and its error.

    None unless both are many, and few are between them.
    """
    known = error < SURE_OF_ONE
    low, high = known & (left < FOLLOWS), known & (left > REMAINS)
    between = known & ~low & ~high
    fewest = min(int(low.sum()), int(high.sum()))
    clear = fewest >= max(FEWEST_OF_A_KIND, LEAST_PART * len(left)) and int(between.sum()) < MOST_BETWEEN * fewest
    return (low, high) if clear else None


def _are_filtered(source: ParticleSource, index: Int[Tensor, " m"]) -> bool:
    """Whether images hold nothing at high frequencies: what a filter leaves of them there knows no CTF."""
    disc = half_disc(source.box, source.box / 2).to(source.device)
    power = (source.transform(index[:READ_BATCH], disc).abs() ** 2).mean(0)
    return vanishing_shell(shell_means(power, disc, source.box)) is not None


def _left_in_each(
    source: ParticleSource, index: Int[Tensor, " b"], disc: HalfDisc, chosen: Bool[Tensor, " p"]
) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
    """Part of each image's power, at the chosen frequencies, that is left where its CTF vanishes; standard errors."""
    params = _bare(source.ctf[index].to(source.device))
    power = (source.transform(index, disc).abs() ** 2).double()
    transfer = ctf_values(params, disc.frequencies / (source.box * source.pixel_size)).double() ** 2
    weight = (_turns_slowly(params, disc, source) & chosen).double()
    count = weight.sum(1).clamp_min(1)
    means = ((weight * each).sum(1) / count for each in (transfer, transfer**2, power, transfer * power))
    return _left_by_line(count, *means)


def _sums(source: ParticleSource, index: Int[Tensor, " m"]) -> Float[Tensor, "6 s"]:
    """Sums over the coefficients of each band, as `left_at_zeros` takes them.

    Every image has the same power, so that none decides for others.
    """
    disc = half_disc(source.box, source.box / 2).to(source.device)
    bands = (disc.shells * BANDS).div(source.box / 2, rounding_mode="floor").long().clamp(max=BANDS - 1)
    corner = 1 - soft_ball(source.box, CORNERS * source.box, EDGE * source.box, dimensions=2).to(source.device)
    sums = torch.zeros(6, BANDS, dtype=torch.float64, device=source.device)
    for part in source.batches(len(index), READ_BATCH):
        images = source.read(index[part])
        images = images - (images * corner).sum((-2, -1), keepdim=True) / corner.sum()
        power, outside = (image_transform(each, disc).abs() ** 2 for each in (images, images * corner))
        mean_power = power.mean(1, keepdim=True)
        power, outside = power / mean_power, outside / (mean_power * (corner**2).mean())
        params = _bare(source.ctf[index[part]].to(source.device))
        transfer = ctf_values(params, disc.frequencies / (source.box * source.pixel_size)) ** 2
        known = _turns_slowly(params, disc, source).to(power)
        products = torch.stack([torch.ones_like(power), transfer, transfer**2, power, transfer * power, outside])
        sums += shell_sums((products * known).sum(1).double(), bands, BANDS)
    return sums


def left_at_zeros(sums: Float[Tensor, "6 s"]) -> float | None:
    """Part of a band's mean power that is left where the CTF vanishes.

    Of the outer half of the noisy bands that have it to within `SURE` the median; None where there is none.

    Parameters
    ----------
    sums
        Of each band, from coarse to fine, the number of coefficients, and sums over them of CTF^2, its square, the
        power of the images, that times CTF^2, and the power of their corners.
    """
    # a band without coefficients has an error of one at least, and is not known
    count = sums[0].clamp_min(1)
    transfer, squares, power, product, outside = sums[1:] / count
    left, error = _left_by_line(count, transfer, squares, power, product)
    # the particle's power vanishes with the CTF, too
    known = left[(error < SURE) & (outside > NOISY * power)]
    return float(known[len(known) // 2 :].median()) if len(known) else None


def _left_by_line(
    count: Float[Tensor, " n"],
    transfer: Float[Tensor, " n"],
    squares: Float[Tensor, " n"],
    power: Float[Tensor, " n"],
    product: Float[Tensor, " n"],
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Part of a mean power that is left where CTF^2 is zero, by a straight line in it; and the standard error.

    From means over ``count`` coefficients of CTF^2, its square, the power, and that times CTF^2. Power is distributed
    exponentially: it scatters by its mean.
    """
    spread = (squares - transfer**2).clamp_min(torch.finfo(squares.dtype).tiny)
    left = 1 - transfer * (product - transfer * power) / (spread * power.clamp_min(1e-12))
    return left, ((1 + transfer**2 / spread) / count).sqrt()


def _bare(params: CTFParams) -> CTFParams:
    """The parameters without envelopes, which are no part of what images are multiplied with."""
    ones = torch.ones_like(params.scale)
    return replace(params, b_factor=0 * ones, scale=ones)


def _turns_slowly(params: CTFParams, disc: HalfDisc, source: ParticleSource) -> Bool[Tensor, "b p"]:
    """Where the phase of the CTF changes by less than `SLOW` from one coefficient to the next."""
    extent = source.box * source.pixel_size
    defocus = torch.maximum(params.defocus_u.abs(), params.defocus_v.abs())
    turn = 2 * math.pi * electron_wavelength(params.voltage) * defocus / extent
    return turn[:, None] * disc.frequencies.norm(dim=1) / extent < SLOW
