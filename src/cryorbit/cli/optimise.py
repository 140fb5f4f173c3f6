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
        float | None, Parameter(help="Finest detail that is scored, A. Default: 30, or what a radius of 10 reaches.")
    ] = None,
    epochs: Annotated[
        float | None, Parameter(help="Gradients to evaluate, in units of the number of particles. Default: 3.")
    ] = None,
    start_map: Annotated[Path | None, Parameter(name="--map", help="Start map. Default: random spheres.")] = None,
    trust: Trust = False,
    shared: Shared = NOTHING_SHARED,
) -> None:
    """Minimise the negative log-likelihood of all particles, poses integrated out, by the method of your choice.

    Leaves a job folder with map.mrc, course.csv (held-out likelihood against gradients evaluated) and report.html.
    Ctrl-C stops it in good order; `cryorbit resume` goes on.
    """
    from cryorbit.cli.jobs import start
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
