"""The verb ``postprocess``: half-maps to a sharpened map with its resolution."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cryorbit.cli.options import ConfigFile, Device, Seed, Threads


def postprocess(
    folder: Annotated[
        Path | None, Parameter(help="Folder with half-maps (a job, or RELION's). Default: --half1 and --half2.")
    ] = None,
    *,
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], help="Folder for the results. Default: FOLDER/postprocess.")
    ] = None,
    half1: Annotated[Path | None, Parameter(help="First half-map, unfiltered. Default: that of the folder.")] = None,
    half2: Annotated[Path | None, Parameter(help="Second half-map. Default: that of the folder.")] = None,
    class_number: Annotated[int | None, Parameter(help="Class to process, in a folder of several. Default: 1.")] = None,
    particles: Annotated[
        Path | None, Parameter(help="STAR file with the poses. Default: the folder's particles.star, if there is one.")
    ] = None,
    mask: Annotated[Path | None, Parameter(help="Soft mask, 0 to 1. Default: found from the map.")] = None,
    pixel_size: Annotated[float | None, Parameter(help="A. Default: as the half-maps say.")] = None,
    b_factor: Annotated[float | None, Parameter(help="A^2, for example -90. Default: fitted.")] = None,
    symmetry: Annotated[str | None, Parameter(help="Point group of the map, for its views. Default: C1.")] = None,
    local_filter: Annotated[
        bool | None, Parameter(negative="", help="Also write the map filtered to its local resolution. Default: no.")
    ] = None,
    seed: Seed = None,
    config: ConfigFile = None,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Sharpen a map and tell its resolution: mask, FSC, B-factor, local resolution, evenness of directions."""
    from cryorbit.cli.jobs import start

    settings = {
        "folder": folder,
        "output": output,
        "half1": half1,
        "half2": half2,
        "class_number": class_number,
        "particles": particles,
        "mask": mask,
        "pixel_size": pixel_size,
        "b_factor": b_factor,
        "symmetry": symmetry,
        "local_filter": local_filter,
        "seed": seed,
        "device": device,
        "threads": threads,
    }
    start("postprocess", settings, config)
