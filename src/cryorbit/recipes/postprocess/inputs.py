"""What post-processing starts from: two half-maps, a mask if one was given, and poses if there are any."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.evaluation.band_limit import EDGE_SHELLS, last_shell, shell_within
from cryorbit.imaging.unused_optics import UnusedOptics, unused_optics
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.mrc import read_header
from cryorbit.io.particle_tables import read_tables
from cryorbit.io.particles import read_particles
from cryorbit.io.relion import CLASS, poses
from cryorbit.recipes.compare import read_box, require_like
from cryorbit.recipes.map_files import ONLY_MAP, class_files
from cryorbit.recipes.map_grid import believed
from cryorbit.recipes.masks import read_mask
from cryorbit.recipes.postprocess.config import PostprocessConfig
from cryorbit.recipes.resolutions import require_resolvable

NEVER_SO_ALIKE = 0.005
"""Part of a half-map that noise of its own makes up, at least: maps of different particles are never so alike."""


@dataclass(frozen=True, slots=True)
class PostprocessInput:
    """What is to be processed.

    Attributes
    ----------
    half1, half2
        Half-maps.
    pixel_size
        A.
    mask
        The mask given, or None.
    rotations
        Poses of the particles, or None.
    last
        Last shell in which both half-maps hold data.
    holds_to_A
        Resolution to which their files say they do, A; None where they do not say, or say too much.
    optics
        What the particles' table states and nothing corrects for; None without a table.
    remarks
        Sentences on headers that say nothing.
    """

    half1: Float[Tensor, "n n n"]
    half2: Float[Tensor, "n n n"]
    pixel_size: float
    mask: Float[Tensor, "n n n"] | None
    rotations: Float[Tensor, "p 3 3"] | None
    last: int
    holds_to_A: float | None  # noqa: N815 (units belong to the name)
    optics: UnusedOptics | None = None
    remarks: tuple[str, ...] = ()


def half_map_files(config: PostprocessConfig) -> tuple[Path, Path]:
    """The two half-maps that the settings name or that lie in their folder.

    Raises
    ------
    InputError
        Only one is named, or the folder holds none.
    """
    if config.half1 is not None and config.half2 is not None:
        return config.half1, config.half2
    if config.half1 is not None or config.half2 is not None:
        raise InputError("one half-map is missing", fix="give both --half1 and --half2")
    if config.folder is None:
        raise InputError("there is nothing to process", fix="give a job folder, or --half1 and --half2")
    names = _half_map_names(config.class_number)
    for first, second in names:
        if (config.folder / first).is_file() and (config.folder / second).is_file():
            return config.folder / first, config.folder / second
    fix = f"give --half1 and --half2, or another --class-number; looked for {', '.join(name for name, _ in names)}"
    raise InputError("this folder holds no pair of half-maps", file=config.folder, fix=fix)


def input_files(config: PostprocessConfig) -> list[Path]:
    """The files whose contents decide the result; errors as `half_map_files`."""
    return [*half_map_files(config), *([] if config.mask is None else [config.mask])]


def read_half_maps(config: PostprocessConfig) -> PostprocessInput:
    """Read and check everything.

    Raises
    ------
    InputError
        A file cannot be read, the maps are not on one grid, or they are one and the same.
    """
    first, second = half_map_files(config)
    half1, stated1 = read_box(first, unstated=0.0)
    half2, stated2 = read_box(second, unstated=0.0)
    stated = believed(stated1, len(half1), stated2, len(half2)) or config.pixel_size
    if not stated:
        fix = "give --pixel-size, the voxel size of the half-maps in Å"
        raise InputError("the half-maps do not state their voxel size", file=first, fix=fix)
    require_like(half2, believed(stated2, len(half2), stated, len(half1)), half1, stated, second)
    require_resolvable(config, len(half1), config.pixel_size or stated, first)
    if _is_copy(half1, half2):
        fix = "give half-maps that were reconstructed from different particles"
        raise InputError("the half-maps are one and the same map", file=second, fix=fix)
    mask = None if config.mask is None else read_mask(config.mask, half1, stated)
    device, pixel_size = torch.device(config.device), config.pixel_size or stated
    last, said = _end_of_data((first, second), half1, half2, stated)
    return PostprocessInput(
        half1.to(device),
        half2.to(device),
        pixel_size,
        None if mask is None else mask.to(device),
        _read_rotations(config),
        last,
        None if said is None else said * pixel_size / stated,
        _read_optics(config),
        tuple(
            f"The header of {file.name} states {header:g} Å per voxel, which stands for unknown; "
            f"{pixel_size:.4g} Å is used."
            for file, header in ((first, stated1), (second, stated2))
            if header != believed(header, len(half1), stated, len(half1))
        ),
    )


def _is_copy(half1: Float[Tensor, "n n n"], half2: Float[Tensor, "n n n"]) -> bool:
    """Whether one map is the other on another grey scale, but for `NEVER_SO_ALIKE` of its norm."""
    first, second = (half.double() - half.double().mean() for half in (half1, half2))
    power = (first**2).sum()
    left = second - (first * second).sum() / power.clamp_min(torch.finfo(power.dtype).tiny) * first
    return bool(left.norm() <= NEVER_SO_ALIKE * second.norm())


def _end_of_data(
    files: tuple[Path, Path], half1: Float[Tensor, "n n n"], half2: Float[Tensor, "n n n"], pixel_size: float
) -> tuple[int, float | None]:
    """Last shell with data, and the resolution in A that the files state, if that is why.

    Spectra tell the end of filtered maps to within the filter's edge; a label that agrees with them knows better.
    """
    last = last_shell(half1, half2)
    labels = [label for file in files if (label := read_header(file).holds_to_A) is not None]
    if not labels:
        return last, None
    said = max(1, shell_within(half1.shape[-1] * pixel_size, max(labels)))
    return (said, max(labels)) if said <= last + EDGE_SHELLS else (last, None)


def _half_map_names(number: int) -> list[tuple[str, str]]:
    """Names of the half-maps of refinement, of a class, and of RELION's refinement."""
    names = [(files.half1, files.half2) for files in (ONLY_MAP, class_files(number))]
    first, second = (f"run_half{half}_class{number:03d}_unfil.mrc" for half in (1, 2))
    return [*names, (first, second)]


def from_one_map(config: PostprocessConfig) -> bool:
    """Whether the half-maps come from an ab initio job, whose halves share the poses of one map."""
    if config.folder is None or config.half1 is not None or not (config.folder / "job.json").is_file():
        return False
    return JobFolder.open(config.folder).read()["verb"] in {"abinit", "demo"}


def _read_rotations(config: PostprocessConfig) -> Float[Tensor, "p 3 3"] | None:
    """Poses of the class's particles; None if there is no file, or it has no angles."""
    file = _particle_file(config)
    if file is None:
        return None
    tables, _ = read_tables(file)
    # the unit of the shifts does not matter: they are not used
    known = poses(tables, pixel_size=1.0)
    if known is None:
        return None
    rotations = known.rotations
    if CLASS in tables.particles:
        chosen = torch.from_numpy(tables.integers(CLASS, 1) == config.class_number)
        rotations = rotations[chosen] if chosen.any() else rotations
    # without a rotation are the particles that have no pose
    turned = (rotations != torch.eye(3, dtype=rotations.dtype)).flatten(1).any(1)
    return rotations[turned] if turned.any() else rotations


def _particle_file(config: PostprocessConfig) -> Path | None:
    """The particles given, or those of the job folder."""
    if config.particles is not None or config.folder is None:
        return config.particles
    file = config.folder / "particles.star"
    return file if file.is_file() else None


def _read_optics(config: PostprocessConfig) -> UnusedOptics | None:
    """The optics that the particles' table states; a table of nothing but angles, which is welcome too, states none."""
    file = _particle_file(config)
    try:
        return None if file is None else unused_optics(read_particles(file, unknown_box=True))
    except InputError:
        return None
