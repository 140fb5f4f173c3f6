"""The tables and figures of a reproduction as one HTML page that needs nothing else."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryorbit import __version__
from cryorbit.io.atomic import atomic_path
from cryorbit.report.look import embed_picture
from cryorbit.report.templating import load_template

PAGE = "report.html"
LISTED = 30
"""Rows above which a table is folded."""


@dataclass(frozen=True, slots=True)
class ReportedTable:
    """A table with its heading and the notes below it."""

    title: str
    rows: Sequence[Mapping[str, str]]
    notes: Sequence[str]


def write_reproduction(folder: Path, title: str, files: Sequence[Path]) -> Path:
    """Write ``report.html`` from the tables (CSV, with heading and notes in Markdown beside it) and figures (PNG)."""
    page = load_template("reproduction.html.j2").render(
        title=title,
        version=__version__,
        tables=sorted((read_table(file) for file in files if file.suffix == ".csv"), key=_folded),
        figures={file.stem.replace("_", " "): embed_picture(file) for file in files if file.suffix == ".png"},
        files=[file.name for file in files],
        listed=LISTED,
    )
    report = folder / PAGE
    with atomic_path(report) as file:
        file.write_text(page, encoding="utf-8")
    return report


def read_table(file: Path) -> ReportedTable:
    """A table from its CSV file, and what the Markdown file of the same name tells of it, if there is one."""
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    prose = file.with_suffix(".md")
    lines = prose.read_text().splitlines() if prose.exists() else []
    heading = next((line[2:] for line in lines if line.startswith("# ")), file.stem.replace("_", " "))
    return ReportedTable(heading, rows, [line[2:] for line in lines if line.startswith("- ")])


def _folded(table: ReportedTable) -> bool:
    return len(table.rows) > LISTED
