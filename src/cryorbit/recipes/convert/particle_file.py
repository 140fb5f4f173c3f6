"""A particle file as conversion sees it: its tables, its records, and where its images are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Int

from cryorbit.core.errors import InputError
from cryorbit.io.cryosparc_records import cs_records
from cryorbit.io.image_paths import (
    ImageNames,
    is_file,
    locate,
    names_from,
    parse_image_names,
    relion_name,
)
from cryorbit.io.mrc import read_header
from cryorbit.io.particle_tables import UID, read_tables
from cryorbit.io.particles import refuse_devices
from cryorbit.io.relion import RelionTables
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
    tables, records = read_tables(path, passthrough)
    if records is not None:
        tables.particles[UID] = records["uid"].astype(str)
    names = parse_image_names(tables.particles["rlnImageName"], path)
    files = locate(names.names, place or path, data_dir)
    refuse_devices(tables, names, files)
    return ParticleFile(tables, records, names, files)


def flat_with_names(particles: ParticleFile, target: Path) -> pd.DataFrame:
    """The flat table, its image names made right for a table at ``target``."""
    flat = flat_table(particles.tables)
    names = particles.stack_names(target)
    places = zip(particles.names.name_index.tolist(), particles.names.section.tolist(), strict=True)
    flat["rlnImageName"] = [relion_name(names[number], section) for number, section in places]
    return flat


def records_for(particles: ParticleFile, target: Path) -> np.ndarray:
    """Records of a ``.cs`` file at ``target``, made from the tables."""
    stacks = particles.stack_names(target)
    names = [stacks[number] for number in particles.names.name_index]
    return cs_records(
        particles.tables, names, particles.names.section, _boxes(particles), micrograph_shapes(particles.tables)
    )


def micrograph_shapes(tables: RelionTables) -> Int[np.ndarray, "n 2"] | None:
    """Rows and columns of each particle's micrograph, from its file; None unless all are there."""
    if "rlnMicrographName" not in tables.particles:
        return None
    index, names = pd.factorize(tables.particles["rlnMicrographName"].astype(str))
    files = locate(names.tolist(), tables.file, None)
    try:
        shapes = [read_header(file).shape[1:] for file in files]
    except InputError:
        return None
    return np.array(shapes, dtype=np.int64)[index]


def _boxes(particles: ParticleFile) -> Int[np.ndarray, " n"]:
    if particles.tables.has(IMAGE_SIZE):
        return _stated_boxes(particles.tables)
    box = particles.box
    if box is None:
        raise InputError(
            f"the box is not known: there is no {IMAGE_SIZE}, and no image file is there",
            file=particles.tables.file,
            fix=f"add {IMAGE_SIZE} to data_optics, or give the folder of the images with --data-dir",
        )
    return np.full(len(particles), box)


def _stated_boxes(tables: RelionTables) -> Int[np.ndarray, " n"]:
    values = tables.numbers(IMAGE_SIZE)
    wrong = ~((values >= 1) & (values < np.iinfo(np.uint32).max))
    if wrong.any():
        raise InputError(
            f"{IMAGE_SIZE} is {values[wrong][0]:g}, which is not a box size",
            file=tables.file,
            row=int(tables.particles.index[np.argmax(wrong)]) + 1,
            fix=f"give the side of the images in pixels, or remove the column {IMAGE_SIZE}",
        )
    return values.round().astype(np.int64)
