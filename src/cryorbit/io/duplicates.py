"""Particles that are in a set twice: the same image, or the same place on the same micrograph.

Copies in different half-sets share their noise, so that the half-maps agree to Nyquist whatever the map is worth.

An image is known by its file, not by the name of it, and by its section. An image that occurs again in another pose is
a symmetry-expanded particle: its copies are all kept, and must stay in one half-set. They have one place and one
defocus, and are no more than a symmetry makes; else the table gives one image to several particles.

Two particles nearer than `NEAREST_A`, or a tenth of a smaller box, are one that was picked twice: real neighbours are
a good part of their diameter apart (RELION and cryoSPARC remove duplicates within 30 and 20 A by default). Not so where
their poses differ: these are parts of one large particle, before and behind each other. They share what noise lies
between them, and stay in one half-set.
"""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Int, UInt8
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from cryorbit.io.filaments import segment_label
from cryorbit.io.grey_levels import GreyLevels
from cryorbit.io.micrograph_places import (
    image_numbers,
    micrograph_numbers,
    near_pairs,
    nearest,
    picks,
    places_on_micrographs,
)
from cryorbit.io.particles import Particles
from cryorbit.io.shifted_copies import shifted_copies

EXPANDED_DEG = 8.0
"""Angle between poses from which on an image shows copies of a symmetric particle: below a turn of C39, above what two
refinements differ by."""
MOST_COPIES = 78
"""Copies of an image that are farther than `EXPANDED_DEG` apart, at most: those of D39."""
DEFOCUS_APART_A = 3000.0
"""Difference in defocus beyond which two images are not one: more than the height of the parts of a large virus."""
ALIKE_TRACE = 1 + 2 * math.cos(math.radians(EXPANDED_DEG))
"""Trace of the turn between two poses above which they are nearly the same: it is 1 + 2 cos(angle)."""


def same_images(particles: Particles) -> Bool[Tensor, " n"]:
    """Mask of the particles whose image an earlier row has, in nearly the same pose or without poses."""
    image = image_numbers(particles)
    again = torch.from_numpy(pd.Series(image.numpy()).duplicated().to_numpy(copy=True))
    if particles.poses is None or not bool(again.any()):
        return again
    numbers, flat = image.numpy(), particles.poses.rotations.double().flatten(1).numpy()
    kept: dict[int, list[int]] = defaultdict(list)
    for row in np.flatnonzero(np.isin(numbers, numbers[again.numpy()])).tolist():
        earlier = kept[int(numbers[row])]
        again[row] = bool(earlier) and float((flat[earlier] @ flat[row]).max()) > ALIKE_TRACE
        if not again[row]:
            earlier.append(row)
    return again


def shared_images(particles: Particles, twice: Bool[Tensor, " n"]) -> Bool[Tensor, " n"]:
    """Mask of the particles whose image other particles have too, so that it can be right for one of them at most.

    They are told from the copies of a symmetry expansion by their places, their defocus and their number. Those that
    are there ``twice`` are not looked at.
    """
    image = pd.Series(image_numbers(particles).numpy())
    if not bool(image[~twice.numpy()].duplicated().any()):
        return torch.zeros(len(particles), dtype=torch.bool)
    places = picks(particles)
    x, y = np.full((2, len(image)), np.nan) if places is None else places.T
    values = pd.DataFrame({"x": x, "y": y, "defocus": particles.ctf.defocus_u.numpy()})[~twice.numpy()]
    copies = values.groupby(image[values.index])
    spread = copies.max() - copies.min()
    apart = (np.hypot(spread["x"], spread["y"]) > nearest(particles)) | (spread["defocus"] > DEFOCUS_APART_A)
    wrong = apart | (copies.size() > MOST_COPIES)
    return torch.from_numpy(image.isin(wrong[wrong].index).to_numpy(copy=True)) & ~twice


def same_places(particles: Particles, ignored: Bool[Tensor, " n"]) -> Bool[Tensor, " n"]:
    """Mask of the particles at the place of an earlier row of another image; those ``ignored`` are not looked at.

    Where poses are known, an image in another pose shows another part of what is at its place, and stays; so do
    segments of a filament.
    """
    twice = torch.zeros(len(particles), dtype=torch.bool)
    pairs = _pairs_at_one_place(particles, ignored)
    if not len(pairs) or segment_label(particles.table) is not None:
        return twice
    return _later_ones(particles, pairs, ignored)


def same_field(
    particles: Particles,
    moduli: UInt8[Tensor, "m k"],
    levels: GreyLevels,
    index: Int[Tensor, " m"],
    ignored: Bool[Tensor, " n"],
) -> Bool[Tensor, " n"]:
    """The same where no places are known, by the images at ``index``; as for `shifted_copies`."""
    return _later_ones(particles, shifted_copies(particles, moduli, levels, index, ignored), ignored)


def _later_ones(particles: Particles, pairs: Int[np.ndarray, "p 2"], ignored: Bool[Tensor, " n"]) -> Bool[Tensor, " n"]:
    """Mask of the particles that are the later ones of pairs of one pose, and of the other copies of their images."""
    gone: set[int] = set()
    for earlier, later in pairs[~_in_other_poses(particles, pairs)].tolist():
        # only what is kept keeps others out
        if earlier not in gone:
            gone.add(later)
    image = image_numbers(particles).numpy()
    return torch.from_numpy(np.isin(image, image[list(gone)])) & ~ignored


def kept_together(particles: Particles) -> Int[Tensor, " n"]:
    """Number from 0 of what must stay in one half-set: copies of an image, and all images that share a place."""
    image = image_numbers(particles)
    pairs = _pairs_at_one_place(particles, torch.zeros(len(particles), dtype=torch.bool))
    if not len(pairs):
        return image
    count = int(image.max()) + 1
    ends = tuple(image.numpy()[pairs.T])
    groups = connected_components(coo_array((np.ones(len(pairs)), ends), (count, count)), directed=False)[1]
    return torch.from_numpy(groups.astype(np.int64))[image]


def _pairs_at_one_place(particles: Particles, ignored: Bool[Tensor, " n"]) -> Int[np.ndarray, "p 2"]:
    """Pairs ``(earlier, later)`` of rows of two images at one place; of the copies of an image the first stands."""
    places = places_on_micrographs(particles)
    if places is None:
        return np.empty((0, 2), np.int64)
    image = image_numbers(particles).numpy()
    micrograph = micrograph_numbers(particles, places)
    known = np.isfinite(places).all(1) & (micrograph >= 0) & ~ignored.numpy()
    rows = np.flatnonzero(known)
    rows = rows[np.unique(image[rows], return_index=True)[1]]
    rows.sort()
    return near_pairs(rows, places, micrograph, nearest(particles))


def _in_other_poses(particles: Particles, pairs: Int[np.ndarray, "p 2"]) -> Bool[np.ndarray, " p"]:
    """Mask of the pairs of rows that have poses, and different ones."""
    if particles.poses is None:
        return np.zeros(len(pairs), dtype=bool)
    rotations, aligned = particles.poses.rotations.double().flatten(1).numpy(), particles.aligned.numpy()
    first, second = pairs.T
    turned = (rotations[first] * rotations[second]).sum(1) < ALIKE_TRACE
    other: Bool[np.ndarray, " p"] = turned & aligned[first] & aligned[second]
    return other
