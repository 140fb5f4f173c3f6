"""What the page of a reproduction shows: the parts that are done, tables with their notes, and figures."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryorbit.io.job_folder import JobFolder
from cryorbit.report.look import embed_picture
from cryorbit.studies.registry import reproduction_of
from cryorbit.studies.result import StudyResult

LISTED = 30
"""Rows above which a table is folded."""


@dataclass(frozen=True, slots=True)
class ReportedTable:
    """A table with its heading and the notes below it."""

    title: str
    rows: Sequence[Mapping[str, str]]
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class ReportedStudy:
    """What a reproduction has so far.

    Attributes
    ----------
    title
        One line for people.
    parts
        Name, seconds and numbers of each part that is done, in order.
    tables
        Short ones first.
    figures
        Data URIs of the figures by name.
    listed
        Rows above which a table is folded.
    """

    title: str
    parts: Sequence[Mapping[str, Any]]
    tables: Sequence[ReportedTable]
    figures: Mapping[str, str]
    listed: int = LISTED


def read_study(job: JobFolder) -> ReportedStudy | None:
    """What a job of ``reproduce`` has written so far; None if the job is another."""
    entry = reproduction_of(job.read()["verb"])
    if entry is None:
        return None
    files = [job.path / name for name in job.read_result(StudyResult).files if (job.path / name).is_file()]
    return ReportedStudy(
        title=entry.title,
        parts=[line for line in job.read_metrics() if "part" in line],
        tables=sorted((read_table(file) for file in files if file.suffix == ".csv"), key=_folded),
        figures={file.stem.replace("_", " "): embed_picture(file) for file in files if file.suffix == ".png"},
    )


def read_table(file: Path) -> ReportedTable:
    """A table from its CSV file, and heading and notes from the Markdown file of the same name, if there is one."""
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    prose = file.with_suffix(".md")
    lines = prose.read_text(encoding="utf-8").splitlines() if prose.exists() else []
    heading = next((line[2:] for line in lines if line.startswith("# ")), file.stem.replace("_", " "))
    return ReportedTable(heading, rows, [line[2:] for line in lines if line.startswith("- ")])


def _folded(table: ReportedTable) -> bool:
    return len(table.rows) > LISTED
