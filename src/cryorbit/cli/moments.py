"""The verb ``moments``: a first map from moments, without the pose of any image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from cryorbit.cli.options import NOTHING_SHARED, Diameter, Output, ParticleFile, Shared


def moments(
    particles: ParticleFile,
    *,
    output: Output,
    resolution: Annotated[
        float | None, Parameter(help="Finest detail of the map in A. Default: 30, coarser for large particles.")
    ] = None,
    starts: Annotated[
        int | None,
        Parameter(help="Random starts for each half of the particles. Default: 4.", validator=validators.Number(gte=1)),
    ] = None,
    compare: Annotated[
        Path | None, Parameter(help="Another map of the particle, to hold this one against. Default: none.")
    ] = None,
    diameter: Diameter = None,
    shared: Shared = NOTHING_SHARED,
) -> None:
    """Make a first map from moments of the images: a second opinion that shares nothing with `cryorbit abinit`.

    Leaves a job folder with map.mrc, the maps of both halves, density.csv, particles.star and report.html.
    """
    from cryorbit.cli.jobs import start

    settings = {
        "particles": particles,
        "output": output,
        "resolution": resolution,
        "starts": starts,
        "compare": compare,
        "diameter": diameter,
    }
    start("moments", settings | shared.settings(), shared.config)
