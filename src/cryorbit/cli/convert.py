"""The verb ``convert``: particle sets between the files of RELION and cryoSPARC."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from cryorbit.cli.options import DataDir

if TYPE_CHECKING:
    from rich.table import Table

    from cryorbit.recipes.convert import Conversion

EXIT_CHANGED = 1
_COLOURS = {"exact": "green", "rounded": "green", "not carried": "yellow", "changed": "bold red"}


def convert(
    source: Annotated[Path, Parameter(help="RELION STAR file (any version) or cryoSPARC .cs file.")],
    target: Annotated[
        Path,
        Parameter(help="File to write: .star, .cs, or .pkl (poses for cryoDRGN, CTF beside it); it must not exist."),
    ],
    *,
    check: Annotated[
        bool, Parameter(negative="", help="Read the file back and compare it with the source, column by column.")
    ] = False,
    star_version: Annotated[
        Literal["3.0", "3.1"], Parameter(help="Layout of the STAR file: one table, or optics groups (RELION 3.1 to 5).")
    ] = "3.1",
    original: Annotated[
        Path | None,
        Parameter(
            help="The .cs file that the particles were converted from: its other fields are kept. Default: none."
        ),
    ] = None,
    passthrough: Annotated[
        Path | None, Parameter(help="Passthrough file of the .cs file. Default: detected beside it.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Convert a particle set between STAR files (RELION 3.0, 3.1 and later) and cryoSPARC's .cs files.

    Images are not copied; their paths are changed to lead to the same files from the new table. With --check the exit
    code is 1 if a column that the format can hold was changed.
    """
    from rich.console import Console

    from cryorbit.recipes.config import load_config
    from cryorbit.recipes.convert import ConvertConfig, run

    settings = {"source": source, "target": target, "passthrough": passthrough, "original": original}
    options = {"star_version": star_version, "data_dir": data_dir, "check": check}
    conversion = run(load_config(ConvertConfig, None, settings | options))
    console = Console()
    if conversion.columns is not None:
        console.print(_column_table(conversion))
    console.print(f"wrote {target}: {conversion.particles:,} particles", markup=False, highlight=False, soft_wrap=True)
    for note in conversion.notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)
    if not conversion.faithful:
        Console(stderr=True).print(f"{target} differs from {source}", style="bold red", soft_wrap=True)
        sys.exit(EXIT_CHANGED)


def _column_table(conversion: Conversion) -> Table:
    """A row a column of the source, with what became of it."""
    from rich.table import Table
    from rich.text import Text

    table = Table("column", "round trip", "", box=None, padding=(0, 2, 0, 0))
    for column in conversion.columns or ():
        table.add_row(column.name, Text(column.fate, style=_COLOURS[column.fate]), column.remark)
    return table
