"""The list of particles that were not used, with the reasons, as a STAR file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cryorbit.io.checks import CheckReport
from cryorbit.io.particles import Particles
from cryorbit.io.particles_writing import output_tables
from cryorbit.io.star_writing import write_star

REASON = "cryorbitSetAsideReason"


def write_set_aside(path: Path | str, particles: Particles, report: CheckReport) -> None:
    """Write the particles the report sets aside, with all their columns and the reason as `REASON`.

    The file is a particle set again; without particles set aside its table is empty.
    """
    indices = np.flatnonzero(np.isin(particles.rows, report.set_aside["row"].to_numpy(dtype=np.int64)))
    tables = output_tables(particles.subset(indices), Path(path))
    tables["particles"][REASON] = report.set_aside["reason"].to_numpy()
    write_star(path, tables)
