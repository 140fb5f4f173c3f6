"""The verb ``postprocess``: half-maps to a sharpened map with its resolution."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cryorbit.cli.options import ConfigFile, Device, Seed, Threads
from cryorbit.core.errors import InputError


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
    if folder is None and half1 is None and config is None:
        raise InputError("there is nothing to process", mend="give a folder, or --half1 and --half2")
    from cryorbit.cli.devices import choose_device
    from cryorbit.cli.jobs import find_recipe, start
    from cryorbit.recipes.config import load_config
    from cryorbit.recipes.postprocess.config import PostprocessConfig
    from cryorbit.recipes.postprocess.inputs import half_map_files

    given = {
        "folder": _absolute(folder),
        "output": _output(output, folder, half1),
        "half1": _absolute(half1),
        "half2": _absolute(half2),
        "class_number": class_number,
        "particles": _absolute(particles),
        "mask": _absolute(mask),
        "pixel_size": pixel_size,
        "b_factor": b_factor,
        "symmetry": symmetry,
        "local_filter": local_filter,
        "seed": seed,
        "device": choose_device(device),
        "threads": threads,
    }
    recipe = find_recipe("postprocess")
    settings = load_config(PostprocessConfig, config, given)
    inputs = [*half_map_files(settings), *([] if settings.mask is None else [settings.mask])]
    start(recipe, settings, settings.output, inputs)


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()


def _output(output: Path | None, folder: Path | None, half1: Path | None) -> Path | None:
    """Where the results go: as told, or beside the half-maps."""
    if output is not None:
        return output.absolute()
    if folder is not None:
        return folder.absolute() / "postprocess"
    return None if half1 is None else half1.absolute().parent / "postprocess"
