"""Results of a benchmark: a table for people and a JSON record with the machine they were measured on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cryorbit import __version__

Row = Mapping[str, Any]
WIDTH = 160
"""Characters a line, also where there is no terminal: a table is not broken."""


def show(title: str, rows: Sequence[Row], notes: Sequence[str] = ()) -> None:
    """Print rows as a table whose columns are the keys of the first, and notes below it."""
    console = Console(width=WIDTH)
    console.print(title, style="bold", highlight=False)
    table = Table(*(rows[0] if rows else ()), box=None, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*(_told(value) for value in row.values()))
    console.print(table)
    for note in notes:
        console.print(f"  {note}", markup=False, highlight=False, soft_wrap=True)


def save(output: Path | None, benchmark: str, results: Mapping[str, Any]) -> None:
    """Write results as JSON with version, date and machine; nothing if no file was asked for."""
    if output is None:
        return
    # torch is heavy, and what was measured must not have it in its memory
    from cryorbit.io.provenance import describe_machine

    date = datetime.now(UTC).isoformat(timespec="seconds")
    machine = {key: value for key, value in describe_machine().items() if key != "host"}
    record = {"benchmark": benchmark, "version": __version__, "date": date, "machine": machine, **results}
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(record, indent=2) + "\n")


def _told(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
