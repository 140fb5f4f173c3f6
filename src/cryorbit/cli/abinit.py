"""The verb ``abinit``: maps from particle images of unknown pose."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from cryorbit.cli.options import (
    ConfigFile,
    DataDir,
    Device,
    Diameter,
    InvertContrast,
    Limit,
    Memory,
    Output,
    ParticleFile,
    Seed,
    Subset,
    Threads,
)


def abinit(
    particles: ParticleFile,
    *,
    output: Output,
    classes: Annotated[int | None, Parameter(help="Number of maps. Default: 1.")] = None,
    symmetry: Annotated[str | None, Parameter(help="Point group: C1, C4, D2, T, O, I. Default: C1.")] = None,
    diameter: Diameter = None,
    max_resolution: Annotated[float | None, Parameter(help="Finest resolution in A. Default: 12 or finer.")] = None,
    seeds: Annotated[int | None, Parameter(help="Independent runs to compare. Default: 1.")] = None,
    subset: Subset = None,
    limit: Limit = None,
    data_dir: DataDir = None,
    invert_contrast: InvertContrast = None,
    seed: Seed = None,
    config: ConfigFile = None,
    device: Device = None,
    threads: Threads = None,
    memory: Memory = None,
) -> None:
    """Make first maps from particle images of unknown pose.

    Leaves a job folder with maps, particles.star, report.html and job.json. Ctrl-C stops it in good order; `cryorbit
    resume` goes on.
    """
    from cryorbit.cli.jobs import start

    given = {
        "particles": particles,
        "output": output,
        "classes": classes,
        "symmetry": symmetry,
        "diameter": diameter,
        "max_resolution": max_resolution,
        "seeds": seeds,
        "subset": subset,
        "limit": limit,
        "data_dir": data_dir,
        "invert_contrast": invert_contrast,
        "seed": seed,
        "device": device,
        "threads": threads,
        "memory": memory,
    }
    start("abinit", given, config)
