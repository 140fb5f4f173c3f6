"""The particles that were not used, and those whose images were repaired, with the reasons, as STAR files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from cryorbit.io.checks import CheckReport
from cryorbit.io.particles import Particles
from cryorbit.io.particles_writing import output_tables
from cryorbit.io.star_writing import write_star

REASON = "cryorbitSetAsideReason"
REPAIR = "cryorbitRepair"
REPAIRED = "repaired.star"


def write_set_aside(path: Path | str, particles: Particles, report: CheckReport) -> None:
    """Write the particles the report sets aside, with all their columns and the reason as `REASON`.

    The file is a particle set again; without particles set aside its table is empty. Where images were repaired, their
    particles are listed in `REPAIRED` beside it, with what was done as `REPAIR`.
    """
    target = Path(path)
    _write(target, particles, report.set_aside, REASON)
    if len(report.repaired):
        _write(target.with_name(REPAIRED), particles, report.repaired, REPAIR)


def _write(path: Path, particles: Particles, listed: pd.DataFrame, label: str) -> None:
    indices = np.flatnonzero(np.isin(particles.rows, listed["row"].to_numpy(dtype=np.int64)))
    tables = output_tables(particles.subset(indices), path)
    # other programs read the table as ASCII
    tables["particles"][label] = [reason.replace("Å", "A") for reason in listed["reason"]]
    write_star(path, tables)
