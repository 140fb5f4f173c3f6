"""The last words of a job: classes, verdict, files, and what to do next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cryorbit.core.readable import percent
from cryorbit.io.job_result import ClassRecord, ComparedMap, Result, TruthRecord, read_result
from cryorbit.report.next_steps import Step, next_steps

_COLOURS = {"good": "green", "doubtful": "yellow", "bad": "red"}
_COLUMNS = (
    ("particles", attrgetter("particles"), "{:,}".format),
    ("share", attrgetter("fraction"), percent),
    ("resolution", attrgetter("resolution_A"), "{:.1f} Å".format),
    ("within mask", attrgetter("resolution_masked_A"), "{:.1f} Å".format),
    ("map", attrgetter("map"), str),
)


def print_summary(record: Mapping[str, Any], folder: Path, console: Console) -> None:
    """Print the result of a job and what can be done with it; ``record`` is the content of its ``job.json``."""
    result = read_result(record, Result)
    if result.classes:
        console.print(_class_table(result.classes))
    if result.verdict is not None:
        console.print(Text(result.verdict.sentence, style=f"bold {_COLOURS[result.verdict.level]}"))
        for reason in result.verdict.reasons:
            console.print(Text(f"  - {reason}"), soft_wrap=True)
    if result.truth is not None:
        console.print(_against_truth(result.truth), highlight=False, soft_wrap=True)
    if result.compared is not None:
        console.print(_against_other(result.compared), highlight=False, soft_wrap=True)
    console.print()
    page = folder / "report.html"
    report = (Step("report", str(page)),) if page.is_file() else ()
    for step in (*report, *next_steps(record, result, folder)):
        console.print(f"{step.purpose:<10}{step.command}", markup=False, highlight=False, soft_wrap=True)


def _class_table(classes: Sequence[ClassRecord]) -> Table:
    """Table with a row a class, without columns of which nothing is known."""
    columns = [column for column in _COLUMNS if any(column[1](entry) is not None for entry in classes)]
    table = Table("class", *(heading for heading, _, _ in columns), box=None, padding=(0, 2, 0, 0))
    for number, entry in enumerate(classes, start=1):
        table.add_row(str(number), *(_known(value_of(entry), write) for _, value_of, write in columns))
    return table


def _against_truth(truth: TruthRecord) -> str:
    """One sentence on how far a demonstration's map and poses are from the truth."""
    return (
        f"Against the truth: resolution {_known(truth.resolution_fsc05_A, '{:.1f}'.format)} Å (FSC 0.5), "
        f"correlation {_known(truth.correlation, '{:.3f}'.format)}; "
        f"median pose error {_known(truth.angle_median_deg, '{:.1f}'.format)} degrees, "
        f"{_known(truth.shift_median_A, '{:.1f}'.format)} Å."
    )


def _against_other(other: ComparedMap) -> str:
    """One sentence on how far a map agrees with the one that it was compared with."""
    mirrored = "; this map was mirrored" if other.hand_flipped else ""
    return (
        f"Against {other.map}: resolution {other.resolution_fsc05_A:.1f} Å (FSC 0.5), "
        f"correlation {other.correlation:.3f}{mirrored}."
    )


def _known(value: Any, write: Callable[[Any], str]) -> str:
    """Write a number, or a dash where there is none."""
    return "-" if value is None else write(value)
