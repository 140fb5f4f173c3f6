"""The verb ``abinit``: maps from particle images of unknown pose."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from cryorbit.cli.options import NOTHING_SHARED, Diameter, MethodSettings, Output, ParticleFile, Shared, Trust


def abinit(
    particles: ParticleFile,
    *,
    output: Output,
    classes: Annotated[int | None, Parameter(help="Number of maps. Default: 1.")] = None,
    symmetry: Annotated[str | None, Parameter(help="Point group: C1, C4, D2, T, O, I. Default: C1.")] = None,
    diameter: Diameter = None,
    max_resolution: Annotated[
        float | None, Parameter(help="Finest resolution, Å. Default: 12, finer for small particles.")
    ] = None,
    seeds: Annotated[
        int | None, Parameter(help="Number of independent random starts, which are compared. Default: 1.")
    ] = None,
    method: Annotated[
        str | None,
        Parameter(help="Optimiser of the search by name, or module:Class for one of your own. Default: momentum."),
    ] = None,
    setting: MethodSettings = (),
    trust: Trust = False,
    shared: Shared = NOTHING_SHARED,
) -> None:
    """Make initial maps from particle images of unknown pose.

    Writes a job folder with maps, particles.star, report.html and job.json. Ctrl-C stops the job and keeps what is
    done; `cryorbit resume` continues it.
    """
    from cryorbit.cli.job_work import start
    from cryorbit.cli.method_settings import read_settings

    search = {"method": method, "settings": read_settings(setting) or None}
    settings = {
        "particles": particles,
        "output": output,
        "classes": classes,
        "symmetry": symmetry,
        "diameter": diameter,
        "max_resolution": max_resolution,
        "seeds": seeds,
        "search": {name: value for name, value in search.items() if value is not None} or None,
    }
    start("abinit", settings | shared.settings(), shared.config, trust=trust)
