"""The verb ``resample``: maps and particle images with another pixel size or box."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cryorbit.cli.options import DataDir, Subset


def resample(
    source: Annotated[Path, Parameter(help="Map (MRC), RELION STAR file or cryoSPARC .cs file.")],
    target: Annotated[
        Path, Parameter(help="File to write: a map, or a STAR file with its images beside it; it must not exist.")
    ],
    *,
    pixel_size: Annotated[float | None, Parameter(help="New pixel size, Å. Default: unchanged.")] = None,
    box: Annotated[
        int | None, Parameter(help="New box, an even number of pixels. Default: the same field of view.")
    ] = None,
    source_pixel_size: Annotated[
        float | None, Parameter(help="Present pixel size of a map, Å. Default: that of its header.")
    ] = None,
    subset: Subset = None,
    data_dir: DataDir = None,
    passthrough: Annotated[
        Path | None, Parameter(help="Passthrough file of a .cs file. Default: detected beside it.")
    ] = None,
) -> None:
    """Change the pixel size or the box of a map or of particle images, by cropping or padding in Fourier space.

    The particle file is written too, with shifts and coordinates for the new images.
    """
    from rich.console import Console

    from cryorbit.recipes.config import load_config
    from cryorbit.recipes.resample import ResampleConfig, run

    files = {"source": source, "target": target, "subset": subset, "data_dir": data_dir, "passthrough": passthrough}
    grid = {"pixel_size": pixel_size, "source_pixel_size": source_pixel_size, "box": box}
    resampling = run(load_config(ResampleConfig, None, files | grid))
    console = Console()
    grids = zip(resampling.box, resampling.pixel_size, strict=True)
    before, after = (f"{side} pixels of {size:.4g} Å" for side, size in grids)
    console.print(f"from {before} to {after}", markup=False, highlight=False, soft_wrap=True)
    for file in resampling.files:
        console.print(f"wrote {file}", markup=False, highlight=False, soft_wrap=True)
