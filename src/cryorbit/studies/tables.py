"""Tables of a reproduction as CSV for programs and Markdown for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryorbit.io.atomic import atomic_path

Row = Mapping[str, object]


def write_table(stem: Path, rows: Sequence[Row], title: str, notes: Sequence[str] = ()) -> list[Path]:
    """Write rows, whose columns are the keys of the first, to ``stem`` with the suffixes ``.csv`` and ``.md``."""
    files = [stem.with_name(f"{stem.name}{suffix}") for suffix in (".csv", ".md")]
    texts = [as_csv(rows), as_markdown(rows, title, notes)]
    for file, text in zip(files, texts, strict=True):
        with atomic_path(file) as temporary:
            temporary.write_text(text)
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


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
