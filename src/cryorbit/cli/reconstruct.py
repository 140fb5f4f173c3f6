"""The verb ``reconstruct``: a map from particle images of known pose."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cryorbit.cli.options import NOTHING_SHARED, Diameter, Output, Shared


def reconstruct(
    particles: Annotated[Path, Parameter(help="RELION STAR file or cryoSPARC .cs file, with poses.")],
    *,
    output: Output,
    symmetry: Annotated[str | None, Parameter(help="Point group: C1, C4, D2, T, O, I. Default: C1.")] = None,
    class_number: Annotated[
        int | None, Parameter(name="--class", help="Use only the particles of this class. Default: all particles.")
    ] = None,
    mask: Annotated[Path | None, Parameter(help="Soft mask (MRC) for the FSC. Default: made from the map.")] = None,
    diameter: Diameter = None,
    max_resolution: Annotated[
        float | None, Parameter(help="Finest resolution, Å; coarser takes less memory. Default: that of the pixels.")
    ] = None,
    shared: Shared = NOTHING_SHARED,
) -> None:
    """Make a map and half-maps from particle images whose poses are known.

    Writes a job folder with map.mrc, half-maps, their FSC, particles.star and report.html.
    """
    from cryorbit.cli.job_work import start

    settings = {
        "particles": particles,
        "output": output,
        "symmetry": symmetry,
        "class_number": class_number,
        "mask": mask,
        "diameter": diameter,
        "max_resolution": max_resolution,
    }
    start("reconstruct", settings | shared.settings(), shared.config)
