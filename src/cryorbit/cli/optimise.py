"""The verb ``optimise``: any optimiser on the likelihood of a particle set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from cryorbit.cli.options import NOTHING_SHARED, Output, ParticleFile, Shared, Trust


def optimise(
    particles: ParticleFile,
    *,
    output: Output,
    method: Annotated[
        str | None,
        Parameter(help="Optimiser by name, module:Class for one of your own, or projection-matching. Default: sgd."),
    ] = None,
    setting: Annotated[
        tuple[str, ...], Parameter(negative="", help="A setting of the optimiser, key=value; may be repeated.")
    ] = (),
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

    given = {
        "particles": particles,
        "output": output,
        "method": method,
        "settings": read_settings(setting) or None,
        "resolution": resolution,
        "epochs": epochs,
        "start": start_map,
    }
    start("optimise", given | shared.settings(), shared.config, trust=trust)


def read_settings(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Settings from ``key=value``, values as JSON where they are; ``InputError`` if there is no equals sign."""
    from cryorbit.core.errors import InputError

    settings: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        name = key.strip().replace("-", "_")
        if not equals or not name:
            raise InputError(f"the setting {pair!r} has no value", mend="write --setting key=value")
        if name in settings:
            raise InputError(f"the setting {name!r} was given twice", mend="leave one out")
        try:
            settings[name] = json.loads(value)
        except ValueError:
            settings[name] = value
    return settings
