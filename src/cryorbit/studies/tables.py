"""Tables of a study as CSV for programs and Markdown for people; every row names its seeds and their spread."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryorbit.io.atomic import atomic_path

Row = Mapping[str, object]
ONE_SEED = "one seed"
RANGE = "median (least to largest)"
PUBLISHED = {"seeds": "", "spread": "not published"}
"""Seeds and spread of a row of published numbers."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a title.

    Attributes
    ----------
    title
        Of the table.
    rows
        Their columns are the keys of the first.
    seeds
        Of the rows that do not name their own.
    notes
        Sentences below.
    """

    title: str
    rows: Sequence[Row]
    seeds: Sequence[int]
    notes: Sequence[str] = ()

    @property
    def seeded(self) -> list[Row]:
        """The rows, with seeds and spread as the last columns."""
        return [{**row, **name_seeds(self.seeds), **_last(row)} for row in self.rows]


def name_seeds(seeds: Iterable[int], spread: str = RANGE) -> Row:
    """Seeds of a row, and how its numbers tell their spread over them; ``one seed`` where there is one."""
    each = list(dict.fromkeys(seeds))
    return {"seeds": ", ".join(map(str, each)), "spread": spread if len(each) > 1 else ONE_SEED}


def median_and_range(values: Sequence[float], form: str) -> str:
    """The upper median, and in brackets the least and the largest value; of one value, that value."""
    ordered = sorted(values)
    middle = f"{ordered[len(ordered) // 2]:{form}}"
    return middle if len(ordered) == 1 else f"{middle} ({ordered[0]:{form}} to {ordered[-1]:{form}})"


def write_table(stem: Path, table: Table) -> list[Path]:
    """Write a table to ``stem`` with the suffixes ``.csv`` and ``.md``; returns the files."""
    files = [stem.with_name(f"{stem.name}{suffix}") for suffix in (".csv", ".md")]
    texts = [as_csv(table.seeded), as_markdown(table.seeded, table.title, table.notes)]
    for file, text in zip(files, texts, strict=True):
        with atomic_path(file) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return files


def as_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV with a header."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def as_markdown(rows: Sequence[Row], title: str, notes: Sequence[str] = ()) -> str:
    """Rows as a Markdown table under a heading, with notes below."""
    columns = list(rows[0])
    lines = [f"# {title}", "", _line(columns), _line(["---"] * len(columns))]
    lines += [_line([str(row[column]) for column in columns]) for row in rows]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)]) + "\n"


def _last(row: Row) -> Row:
    """Seeds and spread that a row names itself."""
    return {name: row[name] for name in ("seeds", "spread") if name in row}


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
