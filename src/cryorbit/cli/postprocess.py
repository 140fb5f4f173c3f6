"""The verb ``postprocess``: half-maps to a sharpened map with its resolution."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cryorbit.cli.options import ConfigFile, Device, Seed, Threads


def postprocess(
    folder: Annotated[
        Path | None,
        Parameter(help="Folder with half-maps (of a job, or of RELION). Default: --half1 and --half2 are used."),
    ] = None,
    *,
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], help="Folder for the results. Default: FOLDER/postprocess.")
    ] = None,
    half1: Annotated[Path | None, Parameter(help="First half-map, unfiltered. Default: that of the folder.")] = None,
    half2: Annotated[Path | None, Parameter(help="Second half-map. Default: that of the folder.")] = None,
    class_number: Annotated[
        int | None, Parameter(help="Class to process, in a folder with several. Default: 1.")
    ] = None,
    particles: Annotated[
        Path | None, Parameter(help="STAR file with the poses. Default: particles.star of the folder, if there is one.")
    ] = None,
    mask: Annotated[
        Path | None, Parameter(help="Soft mask with values from 0 to 1 (MRC). Default: made from the map.")
    ] = None,
    pixel_size: Annotated[
        float | None, Parameter(help="Pixel size of the half-maps, Å. Default: that of their headers.")
    ] = None,
    b_factor: Annotated[
        float | None, Parameter(help="B-factor, Å²: negative sharpens (-90), positive blurs. Default: fitted.")
    ] = None,
    symmetry: Annotated[
        str | None, Parameter(help="Point group of the map, by which its views are multiplied. Default: C1.")
    ] = None,
    local_filter: Annotated[
        bool | None, Parameter(negative="", help="Also write the map filtered to its local resolution. Default: no.")
    ] = None,
    seed: Seed = None,
    config: ConfigFile = None,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Sharpen a map and measure its resolution: mask, FSC, B-factor, local and directional resolution."""
    from cryorbit.cli.job_work import start

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
