"""Images that are in a set twice under names of their own: copies of a stack, exported or joined more than once.

A copy need not have the same grey values: programs store in 16 or 8 bits, normalise, and turn the contrast. Images
whose fingerprints are alike are read again and correlated.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from torch import Tensor

from cryorbit.core.chunks import chunks
from cryorbit.io.grey_levels import from_neighbours
from cryorbit.io.image_statistics import ImageStatistics
from cryorbit.io.micrograph_places import image_numbers
from cryorbit.io.particles import Particles

NEAR = 0.2
"""Distance of two fingerprints up to which they may be those of copies: 8 bits move them by 0.03, 3 % noise by 0.09."""
COPIES = 8
"""Neighbours of a fingerprint that are looked for; the copies of an image are linked through each other."""
ALIKE = 0.99
"""Correlation of copies, at least: rounding to 8 bits leaves 0.9999, noise of 3 % of theirs 0.999. Images with noise of
their own correlate by less than 0.1, and those of a map in other views, without noise, by less than 0.2."""
ORDINARY = 0.9
"""Part of the pixels that no defect of the camera reaches."""
BATCH = 200


def same_pixels(particles: Particles, statistics: ImageStatistics, index: Int[Tensor, " m"]) -> Bool[Tensor, " n"]:
    """Mask of the particles whose image is that of an earlier row in a file, or a section, of another name.

    Parameters
    ----------
    particles
        The set.
    statistics, index
        Of the images that were measured, and where these are in the set.
    """
    again = torch.zeros(len(particles), dtype=torch.bool)
    usable = (statistics.finite & (statistics.scale > 0)).numpy()
    rows, prints = index.numpy()[usable], statistics.fingerprint.numpy()[usable]
    image = image_numbers(particles).numpy()
    # rows of one image are one
    first = np.unique(image[rows], return_index=True)[1]
    first.sort()
    rows, prints = rows[first], prints[first]
    later, earlier = (torch.from_numpy(rows[each]) for each in _candidates(prints))
    copied = [
        later[part][_correlation(particles, later[part], earlier[part]).abs() > ALIKE]
        for part in chunks(len(later), BATCH)
    ]
    if copied:
        again |= torch.from_numpy(np.isin(image, image[torch.cat(copied).numpy()]))
    return again


def _candidates(prints: Float[np.ndarray, "u k"]) -> tuple[Int[np.ndarray, " c"], Int[np.ndarray, " c"]]:
    """Images whose fingerprints lead, from one to the next, to that of an earlier one, and the earliest of these."""
    count = len(prints)
    if count < 2:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    tree = cKDTree(prints)
    # a copy may have its contrast turned
    links = [tree.query(signed, k=COPIES + 1, distance_upper_bound=NEAR)[1] for signed in (prints, -prints)]
    here, there = np.repeat(np.arange(count), COPIES + 1), np.stack(links).reshape(2, -1)
    pairs = [(here[near != count], near[near != count]) for near in there]
    ends = tuple(np.concatenate(each) for each in zip(*pairs, strict=True))
    groups = connected_components(coo_array((np.ones(len(ends[0])), ends), (count, count)), directed=False)[1]
    earliest = np.unique(groups, return_index=True)[1][groups]
    later = np.flatnonzero(earliest < np.arange(count))
    return later, earliest[later]


def _correlation(particles: Particles, first: Int[Tensor, " b"], second: Int[Tensor, " b"]) -> Float[Tensor, " b"]:
    """Correlation of the finest details of images: of noise, where there is some, and hardly of the particle."""
    one, other = (_details(particles.images.read(rows)) for rows in (first, second))
    lengths: Tensor = one.norm(dim=1) * other.norm(dim=1)
    return (one * other).sum(1) / lengths


def _details(images: Float[Tensor, "b y x"]) -> Float[Tensor, "b p"]:
    """Differences of pixels from their neighbours, of mean 0; the largest are cut, as a camera may add them to all."""
    details = from_neighbours(images).flatten(1).double()
    limit = details.abs().quantile(ORDINARY, dim=1, keepdim=True)
    details = torch.where(limit > 0, details.clamp(-limit, limit), details)
    return details - details.mean(1, keepdim=True)
