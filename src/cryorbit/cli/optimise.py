"""The verb ``optimise``: any optimiser on the likelihood of a particle set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cryorbit.cli.options import NOTHING_SHARED, MethodSettings, Output, ParticleFile, Shared, Trust


def optimise(
    particles: ParticleFile,
    *,
    output: Output,
    method: Annotated[
        str | None,
        Parameter(help="Optimiser by name, module:Class for one of your own, or projection-matching. Default: sgd."),
    ] = None,
    setting: MethodSettings = (),
    resolution: Annotated[
        float | None,
        Parameter(help="Finest resolution of the likelihood, Å. Default: 30, or that of 10 shells if it is coarser."),
    ] = None,
    epochs: Annotated[
        float | None, Parameter(help="Passes over the particles, counted in gradients of single images. Default: 3.")
    ] = None,
    start_map: Annotated[
        Path | None, Parameter(name="--map", help="Starting map (MRC). Default: random spheres.")
    ] = None,
    trust: Trust = False,
    shared: Shared = NOTHING_SHARED,
) -> None:
    """Minimise the negative log-likelihood of all particles, summed over poses, with the optimiser of your choice.

    Writes a job folder with map.mrc, course.csv (held-out likelihood against gradients evaluated) and report.html.
    Ctrl-C stops the job and keeps what is done; `cryorbit resume` continues it.
    """
    from cryorbit.cli.job_work import start
    from cryorbit.cli.method_settings import read_settings

    settings = {
        "particles": particles,
        "output": output,
        "method": method,
        "settings": read_settings(setting) or None,
        "resolution": resolution,
        "epochs": epochs,
        "start": start_map,
    }
    start("optimise", settings | shared.settings(), shared.config, trust=trust)
