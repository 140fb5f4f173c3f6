"""Convert a particle set; images stay where they are, and nothing is dropped that the new format can hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from cryorbit.core.errors import InputError
from cryorbit.io.atomic import atomic_path
from cryorbit.io.cryodrgn import ctf_file_of, write_cryodrgn
from cryorbit.io.cryosparc import names_of, with_fields
from cryorbit.io.cryosparc_files import read_cs, write_cs
from cryorbit.io.cryosparc_records import updated_records
from cryorbit.io.destinations import require_new_files
from cryorbit.io.image_paths import fix_for_missing
from cryorbit.io.particles import read_particles, require_ctf
from cryorbit.io.star_versions import IMAGE_SIZE, as_version_30, as_version_31
from cryorbit.io.star_writing import write_star
from cryorbit.recipes.convert.check import ColumnFate, compare_columns
from cryorbit.recipes.convert.particle_file import ParticleFile, flat_with_names, read_particle_file, records_for
from cryorbit.recipes.settings import Settings


class ConvertConfig(Settings):
    """Settings of a conversion."""

    source: Path = Field(description="RELION STAR file, or cryoSPARC .cs or .csg file.")
    target: Path = Field(description="File to write; .star, .cs, or .pkl for cryoDRGN.")
    star_version: Literal["3.0", "3.1"] = Field("3.1", description="Layout of a STAR file that is written.")
    passthrough: Path | None = Field(None, description="Passthrough file of a .cs file. Default: detected beside it.")
    original: Path | None = Field(
        None, description="The .cs file that the particles were converted from. Default: none."
    )
    data_dir: Path | None = Field(None, description="Folder that image paths are relative to. Default: detected.")
    check: bool = Field(False, description="Whether to read the file back and compare it, column by column.")


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was written.

    Attributes
    ----------
    particles
        How many.
    notes
        What the user should know, a sentence each.
    columns
        What became of each column of the source; None unless it was checked.
    """

    particles: int
    notes: tuple[str, ...]
    columns: tuple[ColumnFate, ...] | None

    @property
    def faithful(self) -> bool:
        """Whether every column that the format can hold came back the same; True when that was not checked."""
        return all(column.fate != "changed" for column in self.columns or ())


def run(config: ConvertConfig) -> Conversion:
    """Convert, and check the result if asked.

    Raises
    ------
    InputError
        The source cannot be read, the target exists or is neither STAR nor ``.cs``, or the original does not fit.
    """
    _check_names(config)
    if config.target.suffix == ".pkl":
        return _write_pickles(config)
    source = read_particle_file(config.source, config.passthrough, config.data_dir)
    if config.target.suffix == ".star":
        _write_star(source, config)
    else:
        _write_cs(source, config)
    columns = None
    if config.check:
        written = read_particle_file(config.target, data_dir=config.data_dir, place=config.original)
        columns = compare_columns(source, written)
    return Conversion(len(source), tuple(_notes(source, config)), columns)


def _check_names(config: ConvertConfig) -> None:
    if config.target.suffix not in (".star", ".cs", ".pkl"):
        fix = "let the name end in .star, .cs, or .pkl for cryoDRGN"
        raise InputError("neither a .star nor a .cs file", file=config.target, fix=fix)
    if config.target.suffix == ".pkl" and config.check:
        fix = "leave --check out: the pickles hold poses and CTF parameters only"
        raise InputError("files for cryoDRGN cannot be checked", file=config.target, fix=fix)
    if config.original is not None and config.target.suffix != ".cs":
        raise InputError(
            "an original is of use only for a .cs file", file=config.target, fix="leave --original out, or write a .cs"
        )
    require_new_files(config.target, ctf_file_of(config.target) if config.target.suffix == ".pkl" else None)


def _write_pickles(config: ConvertConfig) -> Conversion:
    particles = read_particles(config.source, config.data_dir, config.passthrough)
    require_ctf(particles)
    ctf_file = write_cryodrgn(config.target, particles)
    return Conversion(len(particles), (f"CTF parameters are in {ctf_file}", "Images are those of the source."), None)


def _write_star(source: ParticleFile, config: ConvertConfig) -> None:
    flat = flat_with_names(source, config.target)
    if config.star_version == "3.0":
        write_star(config.target, as_version_30(flat, source.tables), mark="")
    else:
        write_star(config.target, as_version_31(flat, source.tables, source.box))


def _write_cs(source: ParticleFile, config: ConvertConfig) -> None:
    if config.original is not None:
        # its paths are those of cryoSPARC's own project
        records = updated_records(read_cs(config.original, config.passthrough), source.tables)
    elif source.records is not None:
        records = _with_paths(source.records, source, config.target)
    else:
        records = records_for(source, config.target)
    with atomic_path(config.target) as temporary:
        write_cs(temporary, records)


def _with_paths(records: np.ndarray, source: ParticleFile, target: Path) -> np.ndarray:
    """The records with the paths made right for a file at ``target``; those that are right keep cryoSPARC's mark."""
    chosen = np.asarray(source.stack_names(target), dtype=np.str_)
    moved = chosen != np.asarray(source.names.names, dtype=np.str_)
    index = source.names.name_index
    paths = np.where(moved[index], np.char.encode(chosen, "utf-8")[index], records["blob/path"])
    return with_fields(records, {"blob/path": paths})


def _notes(source: ParticleFile, config: ConvertConfig) -> list[str]:
    notes = []
    missing = source.missing
    if missing:
        notes.append(
            f"{len(missing)} of {len(source.files)} image files were not found, {missing[0]} first; "
            f"their names stay as they came. Fix: {fix_for_missing(missing[0])}."
        )
    if config.target.suffix == ".star" and not source.tables.has(IMAGE_SIZE) and source.box is None:
        notes.append(f"The box is not known: RELION will want {IMAGE_SIZE} in data_optics.")
    if source.records is not None and config.target.suffix == ".star" and _is_dark(source.records):
        notes.append("Protein is dark in the images (blob/sign -1), which a STAR file cannot say: invert them there.")
    return notes


def _is_dark(records: np.ndarray) -> bool:
    return "blob/sign" in names_of(records) and bool((records["blob/sign"] == -1).any())
