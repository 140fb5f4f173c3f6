"""The verb ``abinit``: maps from particle images of unknown pose."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cryorbit.cli.options import ConfigFile, Device, Memory, Output, Seed, Threads


def abinit(
    particles: Annotated[Path, Parameter(help="RELION STAR file or cryoSPARC .cs file.")],
    *,
    output: Output,
    classes: Annotated[int | None, Parameter(help="Number of maps. Default: 1.")] = None,
    symmetry: Annotated[str | None, Parameter(help="Point group: C1, C4, D2, T, O, I. Default: C1.")] = None,
    diameter: Annotated[float | None, Parameter(help="Particle diameter in A. Default: estimated.")] = None,
    max_resolution: Annotated[float | None, Parameter(help="Finest resolution in A. Default: 12 or finer.")] = None,
    seeds: Annotated[int | None, Parameter(help="Independent runs to compare. Default: 1.")] = None,
    data_dir: Annotated[
        Path | None, Parameter(help="Folder that image paths are relative to. Default: found out.")
    ] = None,
    invert_contrast: Annotated[
        bool | None,
        Parameter(negative="--no-invert", help="Images have dark protein. Default: found out from the images."),
    ] = None,
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
    from cryorbit.cli.devices import choose_device
    from cryorbit.cli.jobs import find_recipe, start
    from cryorbit.recipes.config import load_config

    given = {
        "particles": particles.absolute(),
        "output": output.absolute(),
        "classes": classes,
        "symmetry": symmetry,
        "diameter": diameter,
        "max_resolution": max_resolution,
        "seeds": seeds,
        "data_dir": None if data_dir is None else data_dir.absolute(),
        "invert_contrast": invert_contrast,
        "seed": seed,
        "device": choose_device(device),
        "threads": threads,
        "memory": memory,
    }
    recipe = find_recipe("abinit")
    start(recipe, load_config(recipe.config, config, given), output, inputs=[particles])
