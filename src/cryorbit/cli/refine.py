"""The verb ``refine``: a map and poses to the resolution that the images hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from cryorbit.cli.options import NOTHING_SHARED, Diameter, Output, ParticleFile, Shared, Trust


def refine(
    particles: ParticleFile,
    *,
    start_map: Annotated[Path, Parameter(name="--map", help="Starting map (MRC), for example class_1.mrc of abinit.")],
    output: Output,
    symmetry: Annotated[
        str | None, Parameter(help="Point group: C1, C4, D2, T, O, I; the map is aligned to its axes. Default: C1.")
    ] = None,
    diameter: Diameter = None,
    mask: Annotated[Path | None, Parameter(help="Soft mask (MRC). Default: made from the map.")] = None,
    method: Annotated[
        Literal["em", "psgd"] | None,
        Parameter(
            help="psgd: mini-batches first, faster for large sets; em: only passes over all particles. Default: psgd."
        ),
    ] = None,
    initial_resolution: Annotated[
        float | None, Parameter(help="Low-pass filter of the starting map, Å. Default: 30.")
    ] = None,
    max_resolution: Annotated[
        float | None, Parameter(help="Finest resolution, Å. Default: as the images allow.")
    ] = None,
    check_start: Annotated[
        bool | None,
        Parameter(negative="--no-check-start", help="Refuse a starting map that the images do not fit. Default: yes."),
    ] = None,
    trust: Trust = False,
    shared: Shared = NOTHING_SHARED,
) -> None:
    """Refine a map and the poses of all particles, with two independent half-sets.

    Writes a job folder with map.mrc, half-maps, their FSC, particles.star and report.html. Ctrl-C stops the job and
    keeps what is done; `cryorbit resume` continues it.
    """
    from cryorbit.cli.job_work import start

    settings = {
        "particles": particles,
        "maps": (start_map,),
        "output": output,
        "symmetry": symmetry,
        "diameter": diameter,
        "mask": mask,
        "method": method,
        "initial_resolution": initial_resolution,
        "max_resolution": max_resolution,
        "check_start": check_start,
    }
    start("refine", settings | shared.settings(), shared.config, trust=trust)
