"""The verb ``flip``: the other hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cryorbit.cli.options import DataDir


def flip(
    *sources: Annotated[Path, Parameter(help="Maps, half-maps, masks (MRC), and STAR or .cs files with poses.")],
    output: Annotated[
        Path, Parameter(name=["--output", "-o"], help="Folder for the flipped files, which keep their names.")
    ],
    data_dir: DataDir = None,
) -> None:
    """Flip the hand of maps and of the poses that belong to them.

    Particle images do not show the hand; flip it if the atomic model fits only the mirror image of the map.
    """
    from rich.console import Console

    from cryorbit.recipes.config import load_config
    from cryorbit.recipes.flip import FlipConfig, run

    console = Console()
    for file in run(load_config(FlipConfig, None, {"sources": sources, "output": output, "data_dir": data_dir})):
        console.print(f"wrote {file}", markup=False, highlight=False, soft_wrap=True)
