"""The verb ``classify``: particles sorted into classes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cryorbit.cli.options import NOTHING_SHARED, Diameter, Output, ParticleFile, Shared, Trust


def classify(
    particles: ParticleFile,
    *,
    start_maps: Annotated[
        tuple[Path, ...],
        Parameter(
            name="--map", consume_multiple=True, negative="", help="Starting maps (MRC), one per class: two or more."
        ),
    ],
    output: Output,
    symmetry: Annotated[
        str | None,
        Parameter(help="Point group: C1, C4, D2, T, O, I; the maps must be aligned to its axes. Default: C1."),
    ] = None,
    diameter: Diameter = None,
    mask: Annotated[Path | None, Parameter(help="Soft mask (MRC). Default: made from the maps.")] = None,
    initial_resolution: Annotated[
        float | None, Parameter(help="Low-pass filter of the starting maps, Å. Default: 20.")
    ] = None,
    max_resolution: Annotated[float | None, Parameter(help="Finest resolution, Å. Default: 12.")] = None,
    check_start: Annotated[
        bool | None,
        Parameter(negative="--no-check-start", help="Refuse a starting map that the images do not fit. Default: yes."),
    ] = None,
    trust: Trust = False,
    shared: Shared = NOTHING_SHARED,
) -> None:
    """Sort particles into classes, each with a starting map, and refine the maps and the poses.

    Writes a job folder with class_1.mrc, ..., half-maps, their FSC, particles.star and report.html. Ctrl-C stops the
    job and keeps what is done; `cryorbit resume` continues it.
    """
    from cryorbit.cli.job_work import start

    settings = {
        "particles": particles,
        "maps": start_maps,
        "output": output,
        "symmetry": symmetry,
        "diameter": diameter,
        "mask": mask,
        "initial_resolution": initial_resolution,
        "max_resolution": max_resolution,
        "check_start": check_start,
    }
    start("classify", settings | shared.settings(), shared.config, trust=trust)
