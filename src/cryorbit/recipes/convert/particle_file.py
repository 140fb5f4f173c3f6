"""A particle file as conversion sees it: its tables, its records, and where its images are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Int

from cryorbit.core.errors import InputError
from cryorbit.io import relion
from cryorbit.io.cryosparc import read_cs, star_tables
from cryorbit.io.cryosparc_records import UID, cs_records
from cryorbit.io.image_paths import (
    ImageNames,
    is_file,
    locate,
    names_from,
    parse_image_names,
    relion_name,
)
from cryorbit.io.mrc import read_header
from cryorbit.io.relion import RelionTables
from cryorbit.io.star import read_star
from cryorbit.io.star_versions import IMAGE_SIZE, flat_table


@dataclass(frozen=True, slots=True)
class ParticleFile:
    """N particles of a STAR or ``.cs`` file, images not touched.

    Attributes
    ----------
    tables
        In RELION's labels.
    records
        Of a ``.cs`` file with its passthrough, else None.
    names
        Of the images.
    files
        The stack of each distinct name, there or not.
    """

    tables: RelionTables
    records: np.ndarray | None
    names: ImageNames
    files: tuple[Path, ...]

    def __len__(self) -> int:
        """Number of particles."""
        return len(self.tables.particles)

    @property
    def missing(self) -> list[Path]:
        """Stacks that are not there."""
        return [file for file in self.files if not is_file(file)]

    @property
    def box(self) -> int | None:
        """Side in pixels of the images of the first stack that is there; None without one."""
        return next((read_header(file).shape[1] for file in self.files if is_file(file)), None)

    def stack_names(self, target: Path) -> list[str]:
        """Name of each distinct stack in a table at ``target``; of those that are not there, as it came."""
        chosen = names_from(target, self.names.names, self.files)
        return [
            name if is_file(file) else came
            for name, came, file in zip(chosen, self.names.names, self.files, strict=True)
        ]


def read_particle_file(
    path: Path, passthrough: Path | None = None, data_dir: Path | None = None, place: Path | None = None
) -> ParticleFile:
    """Read a STAR or ``.cs`` file; errors as for `cryorbit.io.particles.read_particles`, but boxes may differ.

    Parameters
    ----------
    path
        The file.
    passthrough, data_dir
        As for ``read_particles``.
    place
        Table from whose place the images are looked for, where that is not ``path``.
    """
    records = read_cs(path, passthrough) if path.suffix == ".cs" else None
    blocks = read_star(path) if records is None else star_tables(records)
    if records is not None:
        blocks["particles"][UID] = records["uid"].astype(str)
    tables = relion.relion_tables(blocks, path)
    names = parse_image_names(tables.particles["rlnImageName"], path)
    return ParticleFile(tables, records, names, locate(names.names, place or path, data_dir))


def flat_with_names(particles: ParticleFile, target: Path) -> pd.DataFrame:
    """The flat table, its image names made right for a table at ``target``."""
    flat = flat_table(particles.tables)
    names = particles.stack_names(target)
    places = zip(particles.names.name_index.tolist(), particles.names.section.tolist(), strict=True)
    if particles.records is None:
        flat["rlnImageName"] = [f"{section + 1:06d}@{names[number]}" for number, section in places]
    else:
        flat["rlnImageName"] = [relion_name(names[number], section) for number, section in places]
    return flat


def records_for(particles: ParticleFile, target: Path) -> np.ndarray:
    """Records of a ``.cs`` file at ``target``, made from the tables."""
    names = [particles.stack_names(target)[number] for number in particles.names.name_index]
    return cs_records(particles.tables, names, particles.names.section, _boxes(particles))


def _boxes(particles: ParticleFile) -> Int[np.ndarray, " n"]:
    if particles.tables.has(IMAGE_SIZE):
        return particles.tables.numbers(IMAGE_SIZE).astype(np.int64)
    box = particles.box
    if box is None:
        raise InputError(
            f"the box is not known: there is no {IMAGE_SIZE}, and no image file is there",
            file=particles.tables.file,
            mend=f"add {IMAGE_SIZE} to data_optics, or give the folder of the images with --data-dir",
        )
    return np.full(len(particles), box)
