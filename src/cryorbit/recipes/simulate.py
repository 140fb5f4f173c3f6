"""Simulated particle images of known maps, with the truth beside them.

The folder holds what a reconstruction is given, ``particles.star`` (RELION 3.1, no poses) and ``particles.mrcs``;
``truth.star``, the same rows with angles, origins and classes (0 where the image is pure noise); and ``truth_1.mrc``,
``truth_2.mrc``, ..., scaled so that an image is CTF * projection + noise of unit pixel variance (the negative of the
signal with ``invert_contrast``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import mrcfile
import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from cryorbit.core.bounds import COARSEST_A, LAST_SEED, MOST
from cryorbit.core.chunks import chunk_size, chunks
from cryorbit.core.data import CTFParams, Poses
from cryorbit.core.errors import InputError
from cryorbit.core.progress import Progress, SilentProgress, Stopped
from cryorbit.geometry.rotations import matrix_to_euler
from cryorbit.io.atomic import atomic_path
from cryorbit.io.mrc import read_map, write_map
from cryorbit.io.particles import read_particles
from cryorbit.io.posed import posed_particles
from cryorbit.io.relion import ANGLES, ORIGINS_A
from cryorbit.io.star_writing import write_star
from cryorbit.recipes.settings import Settings
from cryorbit.simulate.microscope import Microscope, draw_ctf
from cryorbit.simulate.noise import coloured_spectrum, draw_noise, white_spectrum
from cryorbit.simulate.particles import JUNK, Truth, clean_images, draw_classes, draw_poses, draw_shifts
from cryorbit.simulate.projection import prepare_map

BUDGET_BYTES = 2**28
BYTES_PER_PIXEL = 2000
"""Temporaries of the projection and the CTF for each pixel of an image, roughly."""
MASK_EDGE = 3.0
"""Width in pixels of the soft edge of the inscribed sphere."""


class SimulateConfig(Settings):
    """Settings of a simulation."""

    maps: tuple[Path, ...] = Field(min_length=1, description="Maps of the classes (MRC), of one box and voxel size.")
    output: Path = Field(description="Folder for the results; new or empty.")
    count: int = Field(1000, gt=0, le=MOST, description="Number of particles.")
    snr: float = Field(
        0.1, gt=0, le=MOST, description="Signal-to-noise ratio: variance of the signal over variance of the noise."
    )
    fractions: tuple[Annotated[float, Field(gt=0, le=MOST)], ...] | None = Field(
        None, description="Fractions of the classes, in the order of the maps. Default: equal."
    )
    junk: float = Field(0.0, ge=0, lt=1, description="Fraction of images of pure noise.")
    shift_sigma: float = Field(
        2.0, ge=0, le=MOST, description="Standard deviation of the shifts along each axis, pixels."
    )
    noise: Literal["white", "coloured"] = Field(
        "white", description="Noise spectrum: white, or coloured with power 1 + (corner / k)^exponent at frequency k."
    )
    noise_corner: float = Field(40.0, gt=0, le=COARSEST_A, description="Resolution of the corner of coloured noise, Å.")
    noise_exponent: float = Field(2.0, gt=0, le=MOST, description="Exponent of coloured noise.")
    invert_contrast: bool = Field(False, description="Whether the protein is dark, as in micrographs.")
    microscope: Microscope = Microscope()
    ctf_from: Path | None = Field(
        None, description="Particle file whose CTF parameters are sampled. Default: drawn as [microscope] says."
    )
    poses_from: Path | None = Field(
        None, description="Particle file whose angles are sampled; shifts are always drawn. Default: uniform angles."
    )
    seed: int = Field(
        0, ge=0, le=LAST_SEED, description="Seed of all random choices; the same seed gives the same result."
    )
    device: str = Field(
        "cpu", description="Where images are computed, as --device names it; the noise does not depend on it."
    )


@dataclass(frozen=True, slots=True)
class SimulateResult:
    """What a simulation left.

    Attributes
    ----------
    particles
        STAR file without poses.
    truth
        STAR file with poses and classes.
    maps
        True maps at the scale of the images.
    scale
        Factor from the maps given to those.
    """

    particles: Path
    truth: Path
    maps: tuple[Path, ...]
    scale: float


def run(config: SimulateConfig, progress: Progress | None = None) -> SimulateResult:
    """Simulate a particle set and write it to ``config.output``.

    Raises
    ------
    InputError
        The maps differ in box or voxel size or are no cubes of even side, or a file to sample from cannot be used.
    Stopped
        ``progress`` asked to stop; the stack is not left half written.
    """
    generator = torch.Generator().manual_seed(config.seed)
    volumes, pixel_size = _read_maps(config.maps)
    truth = _draw_truth(config, generator)
    scene = _Scene(volumes, pixel_size, truth)
    scale = _write_images(config, scene, generator, progress or SilentProgress())
    return _write_truth(config.output, scene, scale)


@dataclass(frozen=True, slots=True)
class _Scene:
    """What is imaged: maps, their voxel size in A, and the particles."""

    volumes: list[Float[Tensor, "n n n"]]
    pixel_size: float
    truth: Truth

    @property
    def box(self) -> int:
        """Side of maps and images, pixels."""
        return self.volumes[0].shape[0]


def _read_maps(paths: Sequence[Path]) -> tuple[list[Float[Tensor, "n n n"]], float]:
    """Maps, cut to a soft sphere that fits the box in every pose, and their voxel size."""
    volumes, pixel_sizes = zip(*(read_map(path) for path in paths), strict=True)
    for path, volume, pixel_size in zip(paths, volumes, pixel_sizes, strict=True):
        if len(set(volume.shape)) > 1 or volume.shape[0] % 2:
            raise InputError(f"the map is {tuple(volume.shape)}", file=path, fix="give a cube of even side")
        if volume.shape != volumes[0].shape or abs(pixel_size / pixel_sizes[0] - 1) > 1e-3:
            raise InputError(
                f"the box or the voxel size is not that of {paths[0]}", file=path, fix="resample the maps to one grid"
            )
        if not volume.any():
            raise InputError("the map is zero everywhere", file=path, fix="give a map with density")
    mask = _soft_sphere(volumes[0].shape[0])
    # headers hold float32: without rounding 5.6 A would be written as 5.599999904632568
    return [volume * mask for volume in volumes], round(pixel_sizes[0], 5)


def _soft_sphere(box: int) -> Float[Tensor, "n n n"]:
    square = (torch.arange(box) - box // 2).float() ** 2
    radius = torch.sqrt(square[:, None, None] + square[:, None] + square)
    depth = ((box / 2 - 1 - radius) / MASK_EDGE).clamp(0, 1)
    return torch.sin(0.5 * torch.pi * depth) ** 2


def _draw_truth(config: SimulateConfig, generator: torch.Generator) -> Truth:
    fractions = config.fractions or (1.0,) * len(config.maps)
    if len(fractions) != len(config.maps) or min(fractions) <= 0:
        raise InputError(f"{len(config.maps)} maps need as many positive fractions", fix="give one share a map")
    classes = draw_classes(config.count, fractions, config.junk, generator)
    if (classes == JUNK).all():
        raise InputError("all images would be junk", fix="ask for more particles or less junk")
    if config.poses_from is None:
        poses = draw_poses(config.count, config.shift_sigma, generator)
    else:
        poses = _sample_poses(config.poses_from, config, generator)
    if config.ctf_from is None:
        ctf, micrographs = draw_ctf(config.count, config.microscope, generator)
    else:
        ctf, micrographs = _sample_ctf(config.ctf_from, config.count, generator)
    return Truth(poses, ctf, classes, micrographs)


def _sample_poses(file: Path, config: SimulateConfig, generator: torch.Generator) -> Poses:
    """Rotations of sampled rows of ``file``, with shifts drawn."""
    poses = posed_particles(read_particles(file))[0].poses
    assert poses is not None
    rows = _sample_rows(len(poses.rotations), config.count, generator)
    return Poses(poses.rotations[rows], draw_shifts(config.count, config.shift_sigma, generator))


def _sample_ctf(file: Path, count: int, generator: torch.Generator) -> tuple[CTFParams, Int[Tensor, " n"]]:
    """CTF parameters and micrographs of sampled rows of ``file``."""
    source = read_particles(file)
    rows = _sample_rows(len(source), count, generator)
    group = torch.zeros(len(source), dtype=torch.int64) if source.group is None else source.group
    return source.ctf[rows], group[rows]


def _sample_rows(total: int, count: int, generator: torch.Generator) -> Int[Tensor, " n"]:
    """Random rows in ascending order, each at most once if there are enough."""
    if count <= total:
        return torch.randperm(total, generator=generator)[:count].sort().values
    return torch.randint(total, (count,), generator=generator).sort().values


def _write_images(config: SimulateConfig, scene: _Scene, generator: torch.Generator, progress: Progress) -> float:
    """Write the stack, clean images first, then scaled and with noise; return the scale of the signal."""
    maps = [prepare_map(volume.to(config.device)) for volume in scene.volumes]
    size = chunk_size(BYTES_PER_PIXEL * scene.box**2, BUDGET_BYTES, config.count)
    parts = list(chunks(config.count, size))
    spectrum = _noise_spectrum(config, scene)
    with _new_stack(config.output / "particles.mrcs", scene) as stack:
        total_variance = 0.0
        for part in _steps(parts, "clean images", progress):
            rows = torch.arange(part.start, part.stop)
            images = clean_images(maps, scene.truth[rows], scene.pixel_size)
            total_variance += float(images.double().var((1, 2), correction=0).sum())
            stack[part] = images.cpu().numpy()
        variance = total_variance / int((scene.truth.classes != JUNK).sum())
        scale = (config.snr / variance) ** 0.5
        signed = -scale if config.invert_contrast else scale
        for part in _steps(parts, "noise", progress):
            noise = draw_noise(part.stop - part.start, spectrum, generator)
            stack[part] = signed * stack[part] + noise.numpy()
    return scale


def _steps(parts: Sequence[slice], description: str, progress: Progress) -> Iterator[slice]:
    """The parts, each counted when done; ``Stopped`` when somebody asked for it."""
    progress.start(len(parts), description)
    for part in parts:
        yield part
        progress.advance()
        if progress.stop_requested():
            raise Stopped


def _noise_spectrum(config: SimulateConfig, scene: _Scene) -> Float[Tensor, "n h"]:
    if config.noise == "white":
        return white_spectrum(scene.box)
    corner = scene.box * scene.pixel_size / config.noise_corner
    return coloured_spectrum(scene.box, corner, config.noise_exponent)


@contextmanager
def _new_stack(path: Path, scene: _Scene) -> Iterator[np.ndarray]:
    """A float32 stack on disk to be filled in parts; it gets its name when it is complete."""
    shape = (len(scene.truth), scene.box, scene.box)
    with atomic_path(path) as temporary, mrcfile.new_mmap(temporary, shape, mrc_mode=2, overwrite=True) as file:
        _require_room(temporary)
        file.set_image_stack()
        file.voxel_size = scene.pixel_size
        # the library's own label holds the time: the same seed would not give the same file
        file.header.label[0] = b"cryorbit"
        file.header.nlabl = 1
        yield file.data


def _require_room(path: Path) -> None:
    """Have the disk set aside the room of a mapped file: on one that is full, writing to the map would kill us."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _write_truth(output: Path, scene: _Scene, scale: float) -> SimulateResult:
    """Write both tables and the maps at the scale of the images."""
    particles, optics = _tables(scene)
    write_star(output / "particles.star", {"optics": optics, "particles": particles})
    known = pd.concat([particles, _truth_columns(scene)], axis=1)
    write_star(output / "truth.star", {"optics": optics, "particles": known})
    maps = tuple(output / f"truth_{number}.mrc" for number in range(1, len(scene.volumes) + 1))
    for path, volume in zip(maps, scene.volumes, strict=True):
        write_map(path, volume * scale, scene.pixel_size)
    return SimulateResult(output / "particles.star", output / "truth.star", maps, scale)


def _tables(scene: _Scene) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Particles and optics groups, one group for each kind of microscope."""
    ctf = scene.truth.ctf
    kinds = torch.stack([ctf.voltage, ctf.spherical_aberration, ctf.amplitude_contrast], 1)
    groups, group = kinds.unique(dim=0, return_inverse=True)
    numbers = np.arange(1, len(groups) + 1)
    optics = pd.DataFrame(
        {
            "rlnOpticsGroupName": [f"opticsGroup{number}" for number in numbers],
            "rlnOpticsGroup": numbers,
            "rlnVoltage": groups[:, 0].numpy(),
            "rlnSphericalAberration": groups[:, 1].numpy(),
            "rlnAmplitudeContrast": groups[:, 2].numpy(),
            "rlnImagePixelSize": scene.pixel_size,
            "rlnImageSize": scene.box,
            "rlnImageDimensionality": 2,
        }
    )
    particles = pd.DataFrame(
        {
            "rlnImageName": [f"{number:06d}@particles.mrcs" for number in range(1, len(ctf) + 1)],
            "rlnMicrographName": [f"mic{number + 1:05d}.mrc" for number in scene.truth.micrographs.tolist()],
            "rlnOpticsGroup": group.numpy() + 1,
            "rlnDefocusU": ctf.defocus_u.numpy(),
            "rlnDefocusV": ctf.defocus_v.numpy(),
            "rlnDefocusAngle": torch.rad2deg(ctf.defocus_angle).numpy(),
            "rlnPhaseShift": torch.rad2deg(ctf.phase_shift).numpy(),
            "rlnCtfBfactor": ctf.b_factor.numpy(),
            "rlnCtfScalefactor": ctf.scale.numpy(),
        }
    )
    return particles, optics


def _truth_columns(scene: _Scene) -> pd.DataFrame:
    poses = scene.truth.poses
    columns = torch.cat([matrix_to_euler(poses.rotations), poses.shifts * scene.pixel_size], 1)
    table = pd.DataFrame(columns.numpy(), columns=[*ANGLES, *ORIGINS_A])
    table["rlnClassNumber"] = scene.truth.classes.numpy() + 1
    return table
