"""Maps and particle images on larger or smaller pixels and in other boxes, by their Fourier transforms.

Of particles the table goes along: pixel size and box are the new ones, shifts that are counted in pixels too. The CTF,
shifts in A and coordinates in the micrograph stay as they are. Maps keep the resolution to which they hold data.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import mrcfile
import numpy as np
import torch
from pydantic import Field

from cryorbit.core.errors import InputError
from cryorbit.fourier.resampling import resampled
from cryorbit.io.atomic import atomic_path
from cryorbit.io.destinations import require_new_files
from cryorbit.io.image_stack import ImageStack
from cryorbit.io.mrc import read_map, read_map_header, write_map
from cryorbit.io.particles import Particles, read_particles
from cryorbit.io.particles_writing import Assignments, write_particles
from cryorbit.io.relion import ORIGINS_PX
from cryorbit.recipes.file_kinds import MAPS, TABLES
from cryorbit.recipes.settings import Settings

BATCH = 250
ROUNDING = 1e-4


class ResampleConfig(Settings):
    """Settings of resampling; a box that is not given keeps the field of view, a pixel size that is not given stays."""

    source: Path = Field(description="Map (MRC), RELION STAR file or cryoSPARC .cs file.")
    target: Path = Field(description="File to write: a map, or a STAR file with the images beside it.")
    pixel_size: float | None = Field(None, gt=0, description="New pixel size, Å. Default: unchanged.")
    source_pixel_size: float | None = Field(
        None, gt=0, description="Present pixel size of the map, Å. Default: that of its header."
    )
    box: int | None = Field(
        None, ge=4, description="New box, an even number of pixels. Default: the same field of view."
    )
    subset: str | None = Field(
        None, description="Query on the columns; only particles that match it are used. Default: all particles."
    )
    data_dir: Path | None = Field(None, description="Folder that image paths are relative to. Default: detected.")
    passthrough: Path | None = Field(None, description="Passthrough file of a .cs file. Default: detected beside it.")


@dataclass(frozen=True, slots=True)
class Resampling:
    """What was written: the files, and box (pixels) and pixel size (A) before and after."""

    files: tuple[Path, ...]
    box: tuple[int, int]
    pixel_size: tuple[float, float]


def run(config: ResampleConfig) -> Resampling:
    """Resample a map or particle images.

    Raises
    ------
    InputError
        The source cannot be read, a file that would be written exists, or nothing would change; images cannot be given
        smaller pixels or a larger box than they have.
    """
    if config.pixel_size is None and config.box is None:
        raise InputError("there is nothing to change", fix="give --pixel-size, --box, or both")
    if config.box is not None and config.box % 2:
        raise InputError(f"the box is {config.box}, an odd number", fix="give an even --box")
    is_table = config.source.suffix in TABLES
    if is_table and config.source_pixel_size is not None:
        raise InputError("the pixel size of particles is stated in their table", fix="leave --source-pixel-size out")
    if not is_table and config.subset is not None:
        raise InputError("a map has no particles to choose from", fix="leave --subset out")
    _check_target(config.target, (".star",) if is_table else MAPS)
    return _resample_particles(config) if is_table else _resample_map(config)


def _check_target(target: Path, suffixes: tuple[str, ...]) -> None:
    if target.suffix not in suffixes:
        raise InputError("the name has another ending", file=target, fix=f"let it end in {' or '.join(suffixes)}")
    require_new_files(target, target.with_suffix(".mrcs"))


def _new_grid(config: ResampleConfig, box: int, pixel_size: float) -> tuple[int, float]:
    """The new box and pixel size."""
    new = config.pixel_size or pixel_size
    return config.box or 2 * max(2, round(box * pixel_size / new / 2)), new


def _resample_map(config: ResampleConfig) -> Resampling:
    volume, stated = read_map(config.source, config.source_pixel_size)
    old = config.source_pixel_size or stated
    side, label = max(volume.shape), read_map_header(config.source).holds_to_A
    box, new = _new_grid(config, side, old)
    # smaller voxels hold no more than the old ones did; larger ones need no label beyond their own end
    end = max(label or 0.0, 2 * old)
    write_map(config.target, resampled(volume, 3, box, new / old), new, end if end > 2 * new * (1 + ROUNDING) else None)
    return Resampling((config.target,), (side, box), (old, new))


def _resample_particles(config: ResampleConfig) -> Resampling:
    particles = read_particles(config.source, config.data_dir, config.passthrough, query=config.subset)
    old = particles.pixel_size
    box, new = _new_grid(config, particles.box, old)
    if new < old * (1 - ROUNDING):
        raise InputError(
            f"the images have pixels of {old:.4g} Å and cannot be resampled to {new:.4g} Å",
            file=config.source,
            fix=f"give {old:.4g} Å or more, or extract the particles with smaller pixels",
        )
    if box * new > particles.box * old + 2 * new:
        raise InputError(
            f"the images are {particles.box * old:.0f} Å wide, a box of {box} pixels would be {box * new:.0f} Å",
            file=config.source,
            fix="give a smaller --box, or extract the particles in a larger one",
        )
    stack = config.target.with_suffix(".mrcs")
    _write_images(stack, particles, box, new)
    write_particles(config.target, _on_new_pixels(particles, stack, box, new), Assignments())
    return Resampling((config.target, stack), (particles.box, box), (old, new))


def _write_images(stack: Path, particles: Particles, box: int, pixel_size: float) -> None:
    """The images one batch after the other, the power of their noise in each coefficient as it was."""
    step = pixel_size / particles.pixel_size
    shape = (len(particles), box, box)
    with atomic_path(stack) as temporary, mrcfile.new_mmap(temporary, shape, mrc_mode=2, overwrite=True) as file:
        for first in range(0, len(particles), BATCH):
            index = torch.arange(first, min(first + BATCH, len(particles)))
            file.data[first : first + len(index)] = step * resampled(particles.images.read(index), 2, box, step).numpy()
        file.set_image_stack()
        file.voxel_size = pixel_size


def _on_new_pixels(particles: Particles, stack: Path, box: int, pixel_size: float) -> Particles:
    """The particles with their new images, and what the table says of pixels."""
    count, ratio = len(particles), particles.pixel_size / pixel_size
    table = particles.table.assign(rlnImageName=[f"{number + 1:06d}@{stack.name}" for number in range(count)])
    for label in ORIGINS_PX:
        if label in table:
            table[label] = table[label].astype(float) * ratio
    optics = particles.optics
    sizes = {"rlnImagePixelSize": pixel_size, "rlnImageSize": box}
    if optics is not None:
        optics = optics.assign(**sizes)
    for each in (table, optics):
        if each is not None and "rlnDetectorPixelSize" in each:
            each["rlnDetectorPixelSize"] = each["rlnDetectorPixelSize"].astype(float) / ratio
    table = table.assign(**{label: value for label, value in sizes.items() if label in table})
    images = ImageStack((stack,), np.zeros(count, np.int64), np.arange(count), None, box)
    return replace(particles, table=table, optics=optics, records=None, images=images, pixel_size=pixel_size)
