"""The verb ``compare``: two maps aligned and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def compare(
    moving: Annotated[Path, Parameter(help="Map to compare (MRC).")],
    reference: Annotated[Path, Parameter(help="Map to compare it with; it is not moved.")],
    *,
    output: Annotated[
        Path | None,
        Parameter(
            name=["--output", "-o"],
            help="Write the aligned map to this file; it must not exist. Default: not written.",
        ),
    ] = None,
    json: Annotated[
        Path | None, Parameter(help="Write the numbers to this file; it must not exist. Default: not written.")
    ] = None,
    mask: Annotated[
        Path | None,
        Parameter(help="Soft mask on the reference, inside which the maps are compared. Default: none."),
    ] = None,
) -> None:
    """Align a map to another, trying both hands, and measure how well they agree."""
    from rich.console import Console
    from rich.table import Table

    from cryorbit.recipes.compare import CompareConfig, regridding, run
    from cryorbit.recipes.config import load_config

    settings = {"moving": moving, "reference": reference, "mask": mask, "output": output, "json_file": json}
    config = load_config(CompareConfig, None, settings)
    comparison = run(config)
    angle, shift = comparison.alignment.angle_deg, comparison.alignment.shift_A.tolist()
    table = Table(show_header=False, box=None)
    table.add_row("hand", "mirrored" if comparison.alignment.hand_flipped else "the same")
    table.add_row("rotation", f"{angle:.1f} degrees")
    table.add_row("shift", f"{shift[0]:.1f}, {shift[1]:.1f}, {shift[2]:.1f} Å")
    table.add_row("correlation", f"{comparison.cc:.3f}")
    table.add_row("resolution, FSC 0.5", f"{comparison.resolution(0.5):.1f} Å")
    table.add_row("resolution, FSC 0.143", f"{comparison.resolution(0.143):.1f} Å")
    console = Console()
    console.print(table)
    for sentence in regridding(config):
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    for path in (output, json):
        if path is not None:
            console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
