"""A set of particles: what the table says of them, and their images, read when asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from cryorbit.core.data import CTFParams, Poses
from cryorbit.core.errors import InputError
from cryorbit.io import relion
from cryorbit.io.column_names import in_words_of
from cryorbit.io.cryosparc import names_of
from cryorbit.io.destinations import SAVE_FIRST, is_device, require_usable_path
from cryorbit.io.image_paths import ImageNames, fix_for_missing, is_file, locate, parse_image_names
from cryorbit.io.image_stack import ImageStack
from cryorbit.io.matching_rows import matching_rows
from cryorbit.io.mrc import read_header
from cryorbit.io.particle_tables import read_tables

NO_CLASS = 0
"""Number of no class, in RELION as here."""

FEW_UNTURNED = 0.05
"""Part of the particles that may have shifts and no rotation, to the last digit, and count as aligned."""
DEFOCUS = "rlnDefocusU"
PREMULTIPLIED = "rlnCtfDataAreCtfPremultiplied"


@dataclass(frozen=True, slots=True)
class Particles:
    """N particles.

    Attributes
    ----------
    source
        The STAR or ``.cs`` file.
    table
        A row a particle, every column of the file, RELION's labels (translated when the file was ``.cs``). The index
        is the row in the file, from 0, and stays with the particle in a subset.
    optics
        The optics groups, or None in files of RELION 3.0 and older.
    records
        The records of the ``.cs`` file and its passthrough, all fields, or None.
    ctf
        CTF parameters, float64; those of images without a CTF where the file has none.
    poses
        Poses, shifts in pixels, float64; None when the file has none.
    half_sets
        1 or 2 for each particle, or None.
    group
        Number from 0 of the micrograph (or the like) that must not be split over half-sets, or None.
    images
        The images, of side ``box`` pixels.
    pixel_size
        A.
    premultiplied
        Whether the images were multiplied with their CTF.
    """

    source: Path
    table: pd.DataFrame
    optics: pd.DataFrame | None
    records: np.ndarray | None
    ctf: CTFParams
    poses: Poses | None
    half_sets: Int[Tensor, " n"] | None
    group: Int[Tensor, " n"] | None
    images: ImageStack
    pixel_size: float
    premultiplied: bool

    def __len__(self) -> int:
        """Number of particles."""
        return len(self.table)

    @property
    def box(self) -> int:
        """Side of the images, pixels."""
        return self.images.box

    @property
    def rows(self) -> Int[np.ndarray, " n"]:
        """Row of each particle in its file, from 1."""
        rows: Int[np.ndarray, " n"] = self.table.index.to_numpy(dtype=np.int64) + 1
        return rows

    @property
    def aligned(self) -> Bool[Tensor, " n"]:
        """Whether each particle has a pose: one without any rotation or shift is what a program leaves unset.

        Shifts alone are not a pose either, unless they are those of a few: no search finds this one rotation again and
        again.
        """
        if self.poses is None:
            return torch.zeros(len(self), dtype=torch.bool)
        turned = (self.poses.rotations != torch.eye(3, dtype=self.poses.rotations.dtype)).flatten(1).any(1)
        shifted = ~turned & (self.poses.shifts != 0).any(1)
        return turned | (shifted & (shifted.double().mean() <= FEW_UNTURNED))

    @property
    def states_ctf(self) -> bool:
        """Whether the file has CTF parameters."""
        return DEFOCUS in self.table or (self.optics is not None and DEFOCUS in self.optics)

    def without_ctf(self) -> Particles:
        """The same particles, their images taken as such without a CTF."""
        return replace(self, ctf=CTFParams.absent(len(self)))

    def taken_as(self, *, premultiplied: bool) -> Particles:
        """The same particles, their images taken as multiplied with their CTF or not, whatever the file says."""
        table, optics = (
            None if each is None else each.assign(**{PREMULTIPLIED: int(premultiplied)}) if wanted else each
            for each, wanted in ((self.table, PREMULTIPLIED in self.table), (self.optics, True))
        )
        assert table is not None
        return replace(self, table=table, optics=optics, premultiplied=premultiplied)

    def subset(self, indices: Int[Tensor, " m"] | Int[np.ndarray, " m"] | Bool[Tensor, " n"]) -> Particles:
        """The particles at ``indices``, in that order; a mask is taken as the indices where it is true."""
        chosen = torch.as_tensor(indices).cpu()
        chosen = torch.nonzero(chosen)[:, 0] if chosen.dtype == torch.bool else chosen.long()
        where = chosen.numpy()
        return Particles(
            source=self.source,
            table=self.table.iloc[where],
            optics=self.optics,
            records=None if self.records is None else self.records[where],
            ctf=self.ctf[chosen],
            poses=None if self.poses is None else self.poses[chosen],
            half_sets=None if self.half_sets is None else self.half_sets[chosen],
            group=None if self.group is None else self.group[chosen],
            images=self.images.subset(where),
            pixel_size=self.pixel_size,
            premultiplied=self.premultiplied,
        )


def read_particles(
    path: Path | str,
    data_dir: Path | str | None = None,
    passthrough: Path | str | None = None,
    *,
    query: str | None = None,
    premultiplied: bool | None = None,
    ctf: bool = True,
    unknown_box: bool = False,
) -> Particles:
    """Read a particle set; images are not touched, and may be missing when the table states their size.

    Parameters
    ----------
    path
        STAR file of RELION (any version), or ``.cs`` or ``.csg`` file of cryoSPARC.
    data_dir
        Folder in which relative image names are looked for first; after it come the folder of ``path``, three
        parents of that, and the current folder. ``.mrc`` and ``.mrcs`` stand in for each other.
    passthrough
        The passthrough file of a ``.cs`` file; found beside it when not given.
    query
        Only the particles that match it are read, so that others may be of another kind; see `matching_rows`.
    premultiplied
        Whether the images were multiplied with their CTF; None for what the file says.
    ctf
        Whether a ``.cs`` file must have the fields of the CTF.
    unknown_box
        Whether the box may be 0, unknown, where neither the table nor a file tells it.

    Raises
    ------
    InputError
        The file is damaged, lacks what is needed, or mixes pixel sizes, boxes, or images that were multiplied with
        their CTF and others; or the query is wrong.
    """
    file = Path(path)
    require_usable_path(file)
    tables, records = read_tables(file, passthrough, ctf=ctf)
    if query is not None:
        rows = matching_rows(tables.particles, tables.optics, query, file)
        tables, records = tables.subset(rows), None if records is None else records[rows]
    with in_words_of(file):
        told = relion.premultiplied(tables) if premultiplied is None else premultiplied
        read = _particles(file, tables, records, data_dir, premultiplied=told, unknown_box=unknown_box)
    return read if premultiplied is None else read.taken_as(premultiplied=premultiplied)


def _particles(
    file: Path,
    tables: relion.RelionTables,
    records: np.ndarray | None,
    data_dir: Path | str | None,
    *,
    premultiplied: bool,
    unknown_box: bool,
) -> Particles:
    pixel_size = relion.pixel_size(tables)
    sign = None if records is None else _signs(records, file)
    names = parse_image_names(tables.particles["rlnImageName"], file)
    files = locate(names.names, file, data_dir)
    refuse_devices(tables, names, files)
    box = _box(tables, files, unknown_box=unknown_box)
    return Particles(
        source=file,
        table=tables.particles,
        optics=tables.optics,
        records=records,
        ctf=_ctf(tables),
        poses=relion.poses(tables, pixel_size),
        half_sets=relion.half_sets(tables),
        group=relion.groups(tables),
        images=ImageStack(files, names.name_index, names.section, sign, box),
        pixel_size=pixel_size,
        premultiplied=premultiplied,
    )


def require_ctf(particles: Particles) -> None:
    """Raise ``InputError`` unless the file has CTF parameters."""
    if not particles.states_ctf:
        raise InputError(
            f"there is no column {DEFOCUS}",
            file=particles.source,
            fix="add the CTF parameters; or give --no-ctf for images that have no CTF, such as negative stain",
        )


def refuse_devices(tables: relion.RelionTables, names: ImageNames, files: tuple[Path, ...]) -> None:
    """Raise `InputError` if one of the ``files`` of ``names`` is a pipe, which is waited for, or an endless device."""
    number = next((number for number, file in enumerate(files) if is_device(file)), None)
    if number is not None:
        row = int(tables.particles.index[np.argmax(names.name_index == number)]) + 1
        raise InputError(
            f"{files[number]} is a device or a pipe, not a file",
            file=tables.file,
            row=row,
            fix=SAVE_FIRST,
        )


def _ctf(tables: relion.RelionTables) -> CTFParams:
    return relion.ctf_params(tables) if tables.has(DEFOCUS) else CTFParams.absent(len(tables.particles))


def _box(tables: relion.RelionTables, files: tuple[Path, ...], *, unknown_box: bool) -> int:
    """Side of the images, pixels, as the table states it, else that of the first file that is there."""
    stated, at_fault = relion.image_size(tables), tables.file
    if stated is None:
        there = [file for file in files if is_file(file)]
        if not there and not unknown_box:
            raise missing_files(tables.file, int(tables.particles.index[0]) + 1, files[0], len(files), len(files))
        if not there:
            return 0
        stated, at_fault = read_header(there[0]).shape[1], there[0]
    if stated % 2:
        raise InputError(
            f"the box is {stated} pixels, an odd number", file=at_fault, fix="extract the particles in an even box"
        )
    return stated


def missing_files(table: Path, row: int, first: Path, missing: int, files: int) -> InputError:
    """The error that image files are not there.

    Parameters
    ----------
    table, row
        Where the first of them is named; the row is from 1.
    first
        Where it should be.
    missing, files
        How many are missing, of how many.
    """
    return InputError(
        f"{first} is not there ({missing} of {files} image files are missing)",
        file=table,
        row=row,
        fix=fix_for_missing(first),
    )


def _signs(records: np.ndarray, file: Path) -> np.ndarray | None:
    """Factor 1 or -1 on each image; 0, which old files have, counts as 1."""
    if "blob/sign" not in names_of(records):
        return None
    signs = np.where(records["blob/sign"] == 0, 1.0, records["blob/sign"]).astype(np.float32)
    if not np.isin(signs, (1.0, -1.0)).all():
        raise InputError(
            f"blob/sign is {signs[~np.isin(signs, (1.0, -1.0))][0]:g}, not 1 or -1",
            file=file,
            fix="import the particles again with a data sign of 1 or -1",
        )
    return None if (signs == 1).all() else signs


def class_numbers(particles: Particles) -> Int[Tensor, " n"]:
    """Class of each particle, `NO_CLASS` where it is not known; 1 where the table has no classes."""
    if relion.CLASS not in particles.table:
        return torch.ones(len(particles), dtype=torch.int64)
    return torch.from_numpy(particles.table[relion.CLASS].to_numpy(dtype=np.int64, copy=True))
