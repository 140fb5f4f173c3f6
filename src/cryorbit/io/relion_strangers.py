"""STAR files that hold no table of single particles, and what they are instead."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from cryorbit.core.errors import InputError

TOMOGRAPHIC = (
    *("rlnTomoSubTomosAre2DStacks", "rlnTomoVisibleFrames", "rlnTomoSubtomogramBinning", "rlnTomoSubTomogramBinning"),
    *("rlnTomoTiltSeriesPixelSize", "rlnTomoTiltSeriesName", "rlnTomoParticlesFile", "rlnTomoImportParticleFile"),
)
"""Labels that only tables of RELION's tomography have, in whichever block."""
PROGRAMS = {"cisTEM": "cisTEM", "wrp": "Warp or M"}
"""Programs that write STAR files with labels of their own, by how those begin."""


def refuse_tomography(tables: Mapping[str, pd.DataFrame], file: Path) -> None:
    """Raise `InputError` for particles of RELION's tomography, which are no single images of one particle each."""
    label = next((label for label in TOMOGRAPHIC for table in tables.values() if label in table), None)
    if label is not None:
        raise InputError(
            f"these are tomographic particles ({label}), which are not supported",
            file=file,
            fix="give particles of single-particle images",
        )


def no_image_names(tables: Mapping[str, pd.DataFrame], file: Path) -> InputError:
    """The error that no block names images; labels of another program are told as such."""
    labels = [str(label) for table in tables.values() for label in table]
    program = next((name for start, name in PROGRAMS.items() if any(label.startswith(start) for label in labels)), None)
    what = "no table has the column rlnImageName"
    if program is not None:
        return InputError(
            f"{what}: its labels are those of {program}",
            file=file,
            fix=f"export the particles from {program} for RELION",
        )
    return InputError(
        f"{what} (blocks: {', '.join(map(repr, tables))})",
        file=file,
        fix="give the particle STAR file, not one of micrographs or coordinates; data_particles may be missing",
    )
