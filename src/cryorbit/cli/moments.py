"""The verb ``moments``: an initial map from moments of the images."""

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
        float | None, Parameter(help="Finest resolution of the map, Å. Default: 30, coarser for large particles.")
    ] = None,
    starts: Annotated[
        int | None,
        Parameter(help="Random starts for each half of the particles. Default: 4.", validator=validators.Number(gte=1)),
    ] = None,
    compare: Annotated[
        Path | None, Parameter(help="Another map of the particle to compare with (MRC). Default: none.")
    ] = None,
    diameter: Diameter = None,
    shared: Shared = NOTHING_SHARED,
) -> None:
    """Make an initial map from moments of the images, by a method independent of `cryorbit abinit`.

    Writes a job folder with map.mrc, the maps of both halves, density.csv, particles.star and report.html.
    """
    from cryorbit.cli.job_work import start

    settings = {
        "particles": particles,
        "output": output,
        "resolution": resolution,
        "starts": starts,
        "compare": compare,
        "diameter": diameter,
    }
    start("moments", settings | shared.settings(), shared.config)
