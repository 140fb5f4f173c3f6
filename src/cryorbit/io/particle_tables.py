"""Particle tables from either program's files, in RELION's labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cryorbit.io.cryosparc import star_tables
from cryorbit.io.cryosparc_files import SUFFIXES, read_cs
from cryorbit.io.label_spelling import as_relion_spells
from cryorbit.io.relion import RelionTables, relion_tables
from cryorbit.io.star import read_star

UID = "cryosparcUid"
"""Label under which a STAR file keeps the ``uid`` of particles that came from a ``.cs`` file."""


def read_tables(
    file: Path, passthrough: Path | str | None = None, *, ctf: bool = True
) -> tuple[RelionTables, np.ndarray | None]:
    """The tables of a STAR, ``.cs`` or ``.csg`` file, and the records where it is one of cryoSPARC.

    Fields of the CTF may be missing in a ``.cs`` file only without ``ctf``.

    Raises
    ------
    InputError
        The file is damaged, of another kind, or holds no table of single particles.
    """
    if file.suffix not in SUFFIXES:
        return relion_tables(as_relion_spells(read_star(file)), file), None
    records = read_cs(file, passthrough, ctf=ctf)
    return relion_tables(star_tables(records), file), records
