"""Maps of other programs on the grid of the images or of another map: cropped, padded, resampled, as need be.

A header that states 0 or 1 A a voxel often states nothing: programs write these that do not know. 0 is never believed,
and 1 only where the map would be about as large as what it is laid beside.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.fourier.resampling import resampled
from cryorbit.io.mrc import read_map

FEW, FAR_OUT = 10, 1e4
"""No voxel of a map is so many times as far from the median as the last of a few that are farthest."""
PIXEL_SIZE_TOLERANCE = 0.01
"""Relative difference of pixel sizes, or of fields of view, that is none; headers are often rounded."""
COMPARABLE = 2.0
"""Factor between two fields of view up to which a header that says 1 A is believed."""


def read_onto(path: Path, box: int, pixel_size: float) -> tuple[Float[Tensor, "{box} {box} {box}"], str | None]:
    """A map on a grid of ``box`` voxels of ``pixel_size`` A, and a sentence on what was done to it.

    Raises
    ------
    InputError
        The file cannot be read, or holds one value everywhere.
    """
    volume, stated = read_map(path, unstated=0.0)
    require_content(volume, path)
    fitted, done = onto_grid(volume, stated, box, pixel_size)
    return fitted, None if done is None else f"{path.name}: {done}"


def onto_grid(
    volume: Float[Tensor, "z y x"], stated: float, box: int, pixel_size: float
) -> tuple[Float[Tensor, "{box} {box} {box}"], str | None]:
    """A map whose header states a voxel size, in A, on another grid, and what was done to it, if anything."""
    step, done = fitting(volume.shape, stated, box, pixel_size)
    return volume if step is None else resampled(volume, 3, box, step), done


def fitting(shape: tuple[int, ...], stated: float, box: int, pixel_size: float) -> tuple[float | None, str | None]:
    """What brings a map to another grid, known from its header: the step of its voxels, and what to tell of it.

    Parameters
    ----------
    shape, stated
        Of the map, voxels, and the voxel size that its header states, A; 0 for none.
    box, pixel_size
        Of the grid, voxels and A.

    Returns
    -------
    step, sentence
        The new voxel size over the old one, None where the map is on the grid; and what is assumed and done, if
        anything.
    """
    side, extent = max(shape), box * pixel_size
    unset = is_unset(stated, side, box, pixel_size)
    voxel_size = pixel_size if unset else stated
    assumed = (
        f"its header states {stated:g} Å per voxel, which stands for unknown; {pixel_size:.4g} Å is used"
        if unset
        else None
    )
    step = pixel_size / voxel_size
    if abs(side * voxel_size / extent - 1) <= PIXEL_SIZE_TOLERANCE:
        # one field of view, rounded
        step = side / box
    elif abs(step - 1) <= PIXEL_SIZE_TOLERANCE:
        step = 1.0
    if step == 1 and set(shape) == {box}:
        return None, assumed
    change = f"resampled from {side} voxels of {voxel_size:.4g} Å to {box} of {pixel_size:.4g} Å"
    if step == 1:
        change = f"{'cropped' if side > box else 'padded'} from {side} voxels to {box}"
    return step, change if assumed is None else f"{assumed}; {change}"


def is_unset(stated: float, side: int, box: int, pixel_size: float) -> bool:
    """Whether a voxel size in a header says nothing about a map of ``side`` voxels, laid beside ``box`` pixels."""
    if stated == 0:
        return True
    ratio = side * stated / (box * pixel_size)
    beside = 1 / COMPARABLE <= ratio <= COMPARABLE
    return stated == 1 and abs(pixel_size - 1) > PIXEL_SIZE_TOLERANCE and not (beside and side != box)


def believed(stated: float, side: int, other: float, other_side: int) -> float:
    """The voxel size of a map: that of another map beside it, A, where its own header says nothing.

    Parameters
    ----------
    stated, side
        Of the map: what its header states, A, 0 for none, and its voxels along a side.
    other, other_side
        Of the map beside it.
    """
    return other if other and is_unset(stated, side, other_side, other) else stated


def require_content(volume: Float[Tensor, "z y x"], file: Path | None) -> None:
    """Raise `InputError`, of ``file`` if there is one, where a map is one value, or one voxel and nothing beside it."""
    if volume.max() == volume.min():
        raise InputError("the map is constant", file=file, fix="give a map with density")
    sizes = (volume - volume.median()).abs().flatten()
    largest = sizes.topk(min(FEW, int((sizes > 0).sum()))).values
    if float(largest[0]) > FAR_OUT * float(largest[-1]):
        place = np.unravel_index(int(sizes.argmax()), volume.shape)[::-1]
        raise InputError(
            f"voxel {tuple(map(int, place))} (x, y, z) is {float(largest[0] / largest[-1]):.3g} times as far from the "
            "median as all but a few",
            file=file,
            fix="correct the voxel, or write the map again",
        )
