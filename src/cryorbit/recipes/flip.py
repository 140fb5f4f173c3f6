"""The other hand: maps mirrored, and the poses of particles with them.

Maps are mirrored along z, ``V'(x, y, z) = V(x, y, -z)``. The projection of a mirrored map along z is that of the map,
so that pose ``R`` becomes ``M R M`` with ``M = diag(1, 1, -1)``: tilts change their sign, shifts stay. No image tells
one hand from the other: particles and maps are flipped together or not at all.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from cryorbit.core.data import Poses
from cryorbit.core.errors import InputError
from cryorbit.io.destinations import make_folder, require_new_file
from cryorbit.io.mrc import read_map, read_map_header, write_map
from cryorbit.io.particles import Particles, read_particles
from cryorbit.io.particles_writing import Assignments, write_particles
from cryorbit.io.star import numbers
from cryorbit.recipes.file_kinds import MAPS, TABLES
from cryorbit.recipes.settings import Settings

PRIOR = "rlnAngleTiltPrior"
MIRROR = torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))


class FlipConfig(Settings):
    """Settings of flipping."""

    sources: tuple[Path, ...] = Field(description="Maps, half-maps, masks (MRC), and particle files.")
    output: Path = Field(description="Folder for the flipped files, which keep their names.")
    data_dir: Path | None = Field(None, description="Folder that image paths are relative to. Default: detected.")


def run(config: FlipConfig) -> tuple[Path, ...]:
    """Flip the hand of files that belong together; returns what was written.

    Raises
    ------
    InputError
        There is nothing to flip, a file cannot be read or is neither a map nor particles with poses, or one that would
        be written exists.
    """
    if not config.sources:
        raise InputError("there is nothing to flip", fix="name maps, half-maps, masks or particle files")
    targets = [config.output / (f"{file.stem}.star" if file.suffix == ".cs" else file.name) for file in config.sources]
    for source, target in zip(config.sources, targets, strict=True):
        _check(source, target, targets)
    # everything is read before anything is written; maps, which may be large, once more when their turn comes
    particles = {file: _flipped(_posed(file, config.data_dir)) for file in config.sources if file.suffix in TABLES}
    for file in config.sources:
        if file not in particles:
            read_map(file, unstated=0.0)
    make_folder(config.output)
    for source, target in zip(config.sources, targets, strict=True):
        if source in particles:
            write_particles(target, particles[source], Assignments(poses=particles[source].poses))
        else:
            # a map that does not state its voxel size is flipped as well, and states none
            volume, pixel_size = read_map(source, unstated=0.0)
            write_map(target, mirrored(volume), pixel_size, read_map_header(source).holds_to_A)
    return tuple(targets)


def mirrored(volume: Float[Tensor, "z y x"]) -> Float[Tensor, "z y x"]:
    """The map mirrored along z about its centre voxel."""
    flipped = volume.flip(0)
    return flipped if len(volume) % 2 else flipped.roll(1, 0)


def flipped_poses(poses: Poses) -> Poses:
    """The poses in which a mirrored map gives the same images."""
    mirror = MIRROR.to(poses.rotations)
    return Poses(mirror @ poses.rotations @ mirror, poses.shifts)


def _check(source: Path, target: Path, targets: list[Path]) -> None:
    if source.suffix not in (*TABLES, *MAPS):
        raise InputError("neither a map nor a particle file", file=source, fix="give .mrc, .star or .cs files")
    if source.suffix in MAPS:
        read_map_header(source)
    require_new_file(target)
    if targets.count(target) > 1:
        raise InputError("two files would get this name", file=target, fix="flip them one at a time")


def _posed(file: Path, data_dir: Path | None) -> Particles:
    particles = read_particles(file, data_dir)
    if particles.poses is None:
        raise InputError(
            "the particles have no poses", file=file, fix="leave the file out: it does not depend on the hand"
        )
    return particles


def _flipped(particles: Particles) -> Particles:
    """The particles with the poses of the mirrored map, and the prior of their tilts with them."""
    assert particles.poses is not None
    table = particles.table
    if PRIOR in table:
        table = table.assign(**{PRIOR: -numbers(table, PRIOR, particles.source)})
    return replace(particles, table=table, poses=flipped_poses(particles.poses))
