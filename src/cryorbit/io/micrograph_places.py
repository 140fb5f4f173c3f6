"""Where particles are on their micrographs, and which names lead to one micrograph or to one image.

A place is the coordinate of the pick less the origin, which moves when a particle is centred again.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree
from torch import Tensor

from cryorbit.io.cryosparc import COORDINATES
from cryorbit.io.image_paths import file_identity, locate
from cryorbit.io.particles import Particles

NEAREST_A, NEAREST_BOXES = 20.0, 0.1
"""Distance of two particles of one micrograph, A and parts of the box, within which they are the same one."""
SAME_MICROGRAPH = 0.1
"""Part of the places of a micrograph that another of the same bare name shares when it is the same; by chance, in a
crowded one, it is 0.01."""
MICROGRAPH = "rlnMicrographName"
NUMBER_BEFORE = re.compile(r"^\d{12,}_")
"""What cryoSPARC puts before the names of its micrographs."""
STEPS_AFTER = re.compile(
    r"(_(patch|rigid|full|local|aligned|nonaligned|dw|nodw|doseweighted|non_dose_weighted|ps|avg|sum|corrected))+$"
)
"""What programs of motion correction put after them."""
DEPTH = "rlnCoordinateZ"
CROWD = 8
"""Neighbours of a particle that are looked for; picks have fewer, and coordinates that more images share are none."""
MICROGRAPH_PIXEL = ("rlnMicrographOriginalPixelSize", "rlnMicrographPixelSize")


def image_numbers(particles: Particles) -> Int[Tensor, " n"]:
    """Number from 0 of the image of each particle: the same for all rows that lead to it, by whatever path."""
    stack = particles.images
    files = pd.factorize(pd.Series([str(file_identity(file)) for file in stack.files]))[0]
    # one number of both: pairs would be a tuple of Python for each of the particles
    places = files[stack.file_index].astype(np.int64) * (1 + stack.section.max(initial=0)) + stack.section
    return torch.from_numpy(pd.factorize(places)[0].astype(np.int64))


def places_on_micrographs(particles: Particles) -> Float[np.ndarray, "n 2"] | None:
    """Where each particle is on its micrograph, A: its pick less the origin; None where there are no picks."""
    places = picks(particles)
    if places is not None and particles.poses is not None:
        places -= particles.poses.shifts.numpy() * particles.pixel_size
    return places


def picks(particles: Particles) -> Float[np.ndarray, "n 2"] | None:
    """Where each particle was picked, A; None without coordinates, or in a volume.

    Coordinates are pixels of the micrograph, whose size is that of the images where the table does not say. The same
    ones of many images, on whichever micrographs, were filled in, and are not places (NaN).
    """
    table = particles.table
    if not has_picks(table):
        return None
    coordinates = table[list(COORDINATES)].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64, copy=True)
    coordinates[_shared_by_many(coordinates, image_numbers(particles).numpy())] = np.nan
    picks: Float[np.ndarray, "n 2"] = coordinates * _micrograph_pixel(particles)[:, None]
    return picks


def has_picks(table: pd.DataFrame) -> bool:
    """Whether a table with RELION's labels says where on which micrograph particles were picked."""
    return MICROGRAPH in table and all(label in table for label in COORDINATES) and DEPTH not in table


def _shared_by_many(coordinates: Float[np.ndarray, "n 2"], image: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Mask of the coordinates that more than `CROWD` images have to the last digit."""
    table = pd.DataFrame({"x": coordinates[:, 0], "y": coordinates[:, 1], "image": image})
    shared: Bool[np.ndarray, " n"] = (table.groupby(["x", "y"])["image"].transform("nunique") > CROWD).to_numpy()
    return shared


def micrograph_numbers(particles: Particles, places: Float[np.ndarray, "n 2"] | None = None) -> Int[np.ndarray, " n"]:
    """Number from 0 of the micrograph of each particle, the same for all names of one; -1 where none is named.

    Names are of one micrograph when they lead to one file, when one is the end of the other, or, with ``places``, when
    they have the same bare name and particles are at the same places.
    """
    index, names = pd.factorize(particles.table[MICROGRAPH].astype(str))
    numbers = _united(names, particles.source)
    if places is not None:
        numbers = _united_by_places(numbers, index, names, places, nearest(particles))
    unknown = np.isin(names.to_numpy(dtype=object), ("None", ""))
    return np.where(unknown[index], -1, numbers[index])


def nearest(particles: Particles) -> float:
    """Distance within which two picks are of one particle, A."""
    extent = particles.box * particles.pixel_size
    return min(NEAREST_A, NEAREST_BOXES * extent) if extent else NEAREST_A


def _micrograph_pixel(particles: Particles) -> Float[np.ndarray, " n"]:
    """Size of a pixel of each particle's micrograph, A."""
    label = next((label for label in MICROGRAPH_PIXEL if label in particles.table), None)
    if label is not None:
        sizes = pd.to_numeric(particles.table[label], errors="coerce").to_numpy(np.float64)
    else:
        sizes = _of_optics(particles)
    return np.where(sizes > 0, sizes, particles.pixel_size)


def _of_optics(particles: Particles) -> Float[np.ndarray, " n"]:
    optics, table = particles.optics, particles.table
    label = None if optics is None else next((label for label in MICROGRAPH_PIXEL if label in optics), None)
    if optics is None or label is None:
        return np.full(len(particles), np.nan)
    sizes = pd.Series(pd.to_numeric(optics[label], errors="coerce").to_numpy(), index=optics["rlnOpticsGroup"])
    of_particles: Float[np.ndarray, " n"] = table["rlnOpticsGroup"].map(sizes).to_numpy(np.float64)
    return of_particles


def _united(names: pd.Index, source: Path) -> Int[np.ndarray, " m"]:
    """Number of the micrograph of each name: that of the shortest other name that it leads to or ends in."""
    files = [str(file_identity(file)) for file in locate(names.tolist(), source, None)]
    parts = [tuple(part for part in Path(name).parts if part != ".") for name in names]
    known = {part: number for number, part in reversed(list(enumerate(parts)))}
    first_of: dict[str, int] = {}
    numbers = np.arange(len(names))
    for number in sorted(range(len(names)), key=lambda number: len(parts[number])):
        ends = (known.get(parts[number][start:]) for start in range(1, len(parts[number])))
        other = next((end for end in ends if end is not None), known[parts[number]])
        numbers[number] = numbers[first_of.setdefault(files[number], other)]
    return numbers


def _united_by_places(
    numbers: Int[np.ndarray, " m"],
    index: Int[np.ndarray, " n"],
    names: pd.Index,
    all_places: Float[np.ndarray, "n 2"],
    reach: float,
) -> Int[np.ndarray, " m"]:
    """The numbers, with those of micrographs of one bare name united whose particles are at the same places."""
    united = numbers.copy()
    bare = pd.Series([_bare_name(name) for name in names])
    rows_of = pd.Series(index).groupby(index).indices
    for alike in bare.groupby(bare).indices.values():
        if len(np.unique(numbers[alike])) < 2:
            continue
        trees: dict[int, cKDTree] = {}
        for name in alike:
            places = all_places[rows_of[name]]
            places = places[np.isfinite(places).all(1)]
            shared = (number for number, tree in trees.items() if _share(tree, places, reach))
            united[name] = next(shared, united[name])
            if len(places):
                trees.setdefault(int(united[name]), cKDTree(places))
    return united


def _bare_name(name: str) -> str:
    """The name of a movie's file, whichever program has made the micrograph."""
    return STEPS_AFTER.sub("", NUMBER_BEFORE.sub("", Path(name).stem.lower()))


def _share(tree: cKDTree, places: Float[np.ndarray, "m 2"], reach: float) -> bool:
    """Whether many enough of the places, or of those in the tree, are common to both."""
    if not len(places):
        return False
    common = int((tree.query(places, distance_upper_bound=reach)[0] < np.inf).sum())
    return common >= SAME_MICROGRAPH * min(len(places), tree.n) and common > 0


def near_pairs(
    rows: Int[np.ndarray, " m"], places: Float[np.ndarray, "n 2"], micrograph: Int[np.ndarray, " n"], reach: float
) -> Int[np.ndarray, "p 2"]:
    """Pairs ``(earlier, later)`` of ``rows`` within ``reach`` of each other on one micrograph, by the later one.

    There are none where most rows are near many: such numbers are not places, but one value for all, or parts of the
    micrograph taken for pixels.
    """
    if len(rows) < 2:
        return np.empty((0, 2), np.int64)
    # micrographs side by side in a third dimension, so that one tree holds them all
    points = np.column_stack([places[rows], 2 * reach * micrograph[rows]])
    _, neighbours = cKDTree(points).query(points, k=CROWD + 1, distance_upper_bound=reach)
    near = neighbours < len(rows)
    if near.sum(1).mean() > 1 + CROWD / 2:
        return np.empty((0, 2), np.int64)
    later, place = np.nonzero(near & (neighbours < np.arange(len(rows))[:, None]))
    pairs: Int[np.ndarray, "p 2"] = np.stack([rows[neighbours[later, place]], rows[later]], axis=1)
    return pairs
