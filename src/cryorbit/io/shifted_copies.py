"""Particles that were picked twice, where no coordinates say so: the same pixels of a micrograph, a few pixels apart.

Two images of one micrograph whose `field_moduli` correlate overlap; by how much one is moved, their correlation tells.
Moduli of the middle, kept from the one time that all images are read, tell which pairs are to be read again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor

from cryorbit.io.field_moduli import Describe, band_moduli, field_moduli, in_band, likeness, no_moduli
from cryorbit.io.filaments import segment_label
from cryorbit.io.grey_levels import GreyLevels
from cryorbit.io.micrograph_places import CROWD, MICROGRAPH, has_picks, micrograph_numbers, nearest
from cryorbit.io.particles import Particles

CANDIDATE = 0.3
"""Correlation of what is kept of two images, from which they are compared as a whole; a shift of a tenth of the box
leaves 0.33 or more, and by chance one pair of 100,000 comes to that."""
MODULI = 1024
"""Coefficients of an image that are compared, at most: by chance, their moduli correlate by 0.03."""
OVERLAP = 0.6
"""Correlation of the moduli of two images of one particle, at least; a shift of a tenth of the box leaves 0.7."""
ONE_IMAGE = 0.5
"""Correlation of the images in the band, one moved onto the other, at least."""
NOISY = 0.1
"""Correlation of the moduli of any two images, at most, where there is noise: it is 0.01 then, and 0.2 without."""
LARGEST = 2000
"""Images of a micrograph, at most: a name that more have is none of a micrograph."""


def described(particles: Particles) -> Describe:
    """What `shifted_copies` needs of the images: nothing where coordinates tell, or nothing can."""
    table = particles.table
    return field_moduli if MICROGRAPH in table and not has_picks(table) and segment_label(table) is None else no_moduli


def shifted_copies(
    particles: Particles,
    moduli: UInt8[Tensor, "m k"],
    levels: GreyLevels,
    index: Int[Tensor, " m"],
    ignored: Bool[Tensor, " n"],
) -> Int[np.ndarray, "p 2"]:
    """Pairs ``(earlier, later)`` of rows whose images are of one micrograph, and no farther apart than one particle.

    There are none where coordinates tell, of segments of filaments, and without names of micrographs. Images that are
    like more than `CROWD` others have something in common, and are not looked at.

    Parameters
    ----------
    particles
        The set.
    moduli, levels
        Of the images at ``index``: what `described` keeps of them, and what is done to their pixels, as what most of
        them have at one place makes none alike.
    index
        The rows whose images are looked at, in ascending order.
    ignored
        Mask of those that are not.
    """
    candidates, typical = [], []
    if moduli.shape[1]:
        for places in _by_micrograph(particles, index.numpy(), torch.nonzero(~ignored[index])[:, 0].numpy()):
            alike = likeness(moduli[torch.from_numpy(places)].float())
            typical.append(float(alike[tuple(torch.triu_indices(len(places), len(places), 1))].median()))
            pairs = torch.nonzero((alike > CANDIDATE).triu(1)).numpy()
            if len(pairs) <= CROWD * len(places):
                candidates.append(places[pairs])
    if not candidates or float(np.median(typical)) > NOISY:
        return np.empty((0, 2), np.int64)
    found = [pair for pair in np.concatenate(candidates) if _are_one(particles, index, levels, torch.from_numpy(pair))]
    pairs = index.numpy()[np.array(found, np.int64).reshape(-1, 2)]
    ordered: Int[np.ndarray, "p 2"] = pairs[np.argsort(pairs[:, 1], kind="stable")]
    return ordered


def _by_micrograph(
    particles: Particles, index: Int[np.ndarray, " m"], places: Int[np.ndarray, " u"]
) -> Iterator[Int[np.ndarray, " _k"]]:
    """Those of the places in ``index`` whose rows share a micrograph, one micrograph after the other."""
    micrograph = micrograph_numbers(particles)[index[places]]
    order = np.argsort(micrograph, kind="stable")
    order = order[micrograph[order] >= 0]
    for part in np.split(places[order], np.flatnonzero(np.diff(micrograph[order])) + 1):
        if 1 < len(part) <= LARGEST:
            yield part


def _are_one(particles: Particles, index: Int[Tensor, " m"], levels: GreyLevels, pair: Int[Tensor, "2"]) -> bool:
    """Whether one image of a pair of places in ``index``, moved by no more than one particle is wide, is the other."""
    images = levels[pair].apply(particles.images.read(index[pair]))
    if not float(likeness(band_moduli(images, MODULI))[0, 1]) > OVERLAP:
        return False
    box = images.shape[-1]
    first, second = torch.fft.rfft2(images) * in_band(box)
    power = [torch.fft.irfft2(each.abs() ** 2, s=(box, box))[0, 0] for each in (first, second)]
    correlation = torch.fft.irfft2(first * second.conj(), s=(box, box)) / (power[0] * power[1]).sqrt()
    y, x = divmod(int(correlation.argmax()), box)
    shift = math.hypot(min(y, box - y), min(x, box - x))
    return shift <= nearest(particles) / particles.pixel_size and float(correlation[y, x]) > ONE_IMAGE
