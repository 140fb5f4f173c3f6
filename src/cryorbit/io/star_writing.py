"""Writing STAR files as RELION 3.1 and later read them; what is written reads back the same to the last bit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from cryorbit.core.chunks import chunks
from cryorbit.io.atomic import atomic_path
from cryorbit.io.star import ROWS_PER_CHUNK, numeric_kind

NEEDS_QUOTES = re.compile(r"""^$|^["'#_;]|^(?i:data_|loop_|save_|global_|stop_)|\s""")
VERSION = "# version 30001"
"""The mark by which RELION knows tables of the kind with optics groups."""

Block: TypeAlias = pd.DataFrame | Mapping[str, object]


def write_star(path: Path | str, tables: Mapping[str, Block], mark: str = VERSION) -> None:
    """Write blocks to a STAR file, whole or not at all.

    Parameters
    ----------
    path
        The file; it is replaced when it exists.
    tables
        Block name (``particles`` for ``data_particles``) to a data frame, written as a table, or to a mapping, written
        as label-value pairs. Floats keep every digit; booleans become 0 and 1, missing text becomes ``None``.
    mark
        Comment above every block; files in the layout of RELION 3.0 must not bear `VERSION`.

    Raises
    ------
    ValueError
        A text holds a line break or both kinds of quotes, which STAR cannot express.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for name, block in tables.items():
            file.write(f"\n{mark}\n\ndata_{name}\n\n")
            lines = _table_lines(block) if isinstance(block, pd.DataFrame) else _pair_lines(block)
            file.writelines(f"{line}\n" for line in lines)
            file.write("\n")


def _pair_lines(pairs: Mapping[str, object]) -> Iterator[str]:
    table = pd.DataFrame({label: [value] for label, value in pairs.items()})
    for label in table:
        (value,) = _texts(table[label])
        yield f"_{label:<40} {value}"


def _table_lines(table: pd.DataFrame) -> Iterator[str]:
    yield "loop_"
    for number, label in enumerate(table.columns, 1):
        yield f"_{label} #{number}"
    quoted = {label for label in table if _would_read_as_numbers(table[label])}
    for rows in chunks(len(table), ROWS_PER_CHUNK):
        part = table.iloc[rows]
        columns = [_texts(part[label], quote_all=label in quoted) for label in table.columns]
        yield from map(" ".join, zip(*columns, strict=True))


def _would_read_as_numbers(column: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(column) or str(column.name).endswith("Name"):
        return False
    return numeric_kind(column.astype(str)) is not None


def _texts(column: pd.Series, quote_all: bool = False) -> list[str]:
    """Values of a column as they stand in the file."""
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_integer_dtype(column):
        return [str(value) for value in column.astype(np.int64).tolist()]
    if pd.api.types.is_float_dtype(column):
        values = column.to_numpy()
        # numpy knows the shortest digits of float32; Python's repr is faster for float64
        return list(map(repr, values.tolist())) if values.dtype == np.float64 else values.astype(str).tolist()
    texts = ["None" if value is None or value is pd.NA else str(value) for value in column.tolist()]
    return [_quote(text) if quote_all or NEEDS_QUOTES.search(text) else text for text in texts]


def _quote(text: str) -> str:
    if "\n" in text or "\r" in text or "\0" in text:
        raise ValueError(f"a STAR file cannot hold the line break in {text!r}")
    for mark in ('"', "'"):
        if not re.search(rf"{mark}(?:\s|$)", text):
            return f"{mark}{text}{mark}"
    raise ValueError(f"a STAR file cannot hold both kinds of quotes of {text!r}")
