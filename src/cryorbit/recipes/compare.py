"""Compare two maps: superpose the first on the second and measure their agreement."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.evaluation.comparison import MapComparison, compare_maps
from cryorbit.io.atomic import atomic_path
from cryorbit.io.destinations import require_new_files
from cryorbit.io.mrc import STATE_SIZE, read_map, read_map_header, write_map
from cryorbit.recipes.map_grid import PIXEL_SIZE_TOLERANCE, believed, fitting, read_onto, require_content
from cryorbit.recipes.masks import read_mask, require_on_density
from cryorbit.recipes.settings import Settings

LOGGER = logging.getLogger(__name__)


class CompareConfig(Settings):
    """Settings of a comparison.

    Attributes
    ----------
    moving
        Map that is superposed.
    reference
        Map on which it is superposed.
    mask
        Soft mask on the reference, inside which the agreement is measured.
    output
        Where the superposed map is written.
    json_file
        Where the numbers are written.
    """

    moving: Path
    reference: Path
    mask: Path | None = None
    output: Path | None = None
    json_file: Path | None = None


def run(config: CompareConfig) -> MapComparison:
    """Compare two maps and write what was asked for.

    Raises
    ------
    InputError
        A file cannot be read, the maps do not have one even, cubic box and one pixel size, or a file to write exists.
    """
    require_new_files(config.output, config.json_file)
    reference, pixel_size = read_reference(config.reference, config.moving)
    moving = read_like(config.moving, reference, pixel_size)
    mask = None if config.mask is None else read_mask(config.mask, reference, pixel_size)
    if mask is not None:
        require_on_density(mask, reference, None, config.mask)
    comparison = compare_maps(moving, reference, pixel_size, mask)
    if config.output is not None:
        write_map(config.output, comparison.alignment.aligned, pixel_size)
    if config.json_file is not None:
        write_json(config.json_file, comparison.as_record())
    return comparison


def read_box(path: Path, unstated: float | None = None) -> tuple[Float[Tensor, "n n n"], float]:
    """A map of an even, cubic box that is not constant, and its pixel size in A, as `read_map` has it."""
    volume, pixel_size = read_map(path, unstated)
    require_box(volume, path)
    return volume, pixel_size


def read_reference(path: Path, beside: Path) -> tuple[Float[Tensor, "n n n"], float]:
    """A reference and its pixel size in A: that of the map ``beside`` it where its own header says nothing."""
    volume, stated = read_box(path, unstated=0.0)
    pixel_size = _size_beside(stated, len(volume), beside)
    if not pixel_size:
        raise InputError("neither map states its voxel size", file=path, fix=STATE_SIZE)
    return volume, pixel_size


def _size_beside(stated: float, side: int, beside: Path) -> float:
    header = read_map_header(beside)
    return believed(stated, side, header.voxel_size, max(header.shape))


def read_like(path: Path, reference: Float[Tensor, "n n n"], pixel_size: float) -> Float[Tensor, "n n n"]:
    """A map brought to the grid of ``reference``; what was done to it is logged."""
    volume, done = read_onto(path, len(reference), pixel_size)
    if done is not None:
        LOGGER.info(done)
    return volume


def regridding(config: CompareConfig) -> list[str]:
    """What is done to map and mask so that they lie on the grid of the reference, a sentence each; from headers."""
    reference = read_map_header(config.reference)
    box = max(reference.shape)
    pixel_size = _size_beside(reference.voxel_size, box, config.moving)
    # of the reference nothing is ever resampled: what is told of it is the size that is taken
    sentences: list[str] = []
    for file in filter(None, (config.reference, config.moving, config.mask)):
        header = read_map_header(file)
        _, done = fitting(header.shape, header.voxel_size, box, pixel_size)
        sentences += [] if done is None else [f"{file.name}: {done}"]
    return sentences


def require_box(volume: Float[Tensor, "z y x"], file: Path | None) -> None:
    """Raise `InputError`, of ``file`` if there is one, unless the box is an even cube and holds something."""
    if len(set(volume.shape)) > 1 or volume.shape[0] % 2:
        size = " x ".join(str(side) for side in volume.shape)
        raise InputError(f"the box of {size} voxels is not an even cube", file=file, fix="pad it to an even cube")
    require_content(volume, file)


def require_like(
    volume: Float[Tensor, "z y x"],
    volume_pixel_size: float,
    reference: Float[Tensor, "n n n"],
    pixel_size: float,
    file: Path | None,
) -> None:
    """Raise `InputError`, of ``file`` if there is one, unless a map lies on the grid of ``reference``."""
    require_box(volume, file)
    if volume.shape != reference.shape or abs(volume_pixel_size / pixel_size - 1) > PIXEL_SIZE_TOLERANCE:
        raise InputError(
            f"the map has {volume.shape[0]} voxels of {volume_pixel_size:.4g} Å along a side, "
            f"the reference {reference.shape[0]} of {pixel_size:.4g} Å",
            file=file,
            fix=f"cryorbit resample --box {reference.shape[0]} --pixel-size {pixel_size:.4g}",
        )


def write_json(path: Path, record: dict[str, object]) -> None:
    """Write a record as JSON, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(record, indent=2, allow_nan=False) + "\n")
