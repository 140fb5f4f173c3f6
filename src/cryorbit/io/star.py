"""Reading STAR files: blocks of named columns in plain text.

A column holds integers or floats when every one of its values is written as such, else text. Text it stays when its
label ends in ``Name`` (RELION's way to mark names), when a value is quoted, and when a number would lose digits
(``000123``, integers beyond 18 digits), so that ``cryorbit.io.star_writing`` gives back what was read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from cryorbit.core.errors import InputError
from cryorbit.io.foreign_formats import HEAD_BYTES, refuse_folder, refuse_foreign

INTEGER = r"[+-]?(?:0|[1-9][0-9]{0,17})"
EXPONENT = r"(?:[eE][+-]?[0-9]+)"
REAL = (
    rf"(?:{INTEGER}|[+-]?[0-9]+{EXPONENT}|[+-]?[0-9]+\.[0-9]*{EXPONENT}?|[+-]?\.[0-9]+{EXPONENT}?"
    r"|[+-]?(?:nan|inf))"
)
TOKEN = re.compile(
    r""""((?:[^"]|"(?=\S))*)"(?=\s|$)"""  # a quote ends a value only where white space follows
    r"""|'((?:[^']|'(?=\S))*)'(?=\s|$)"""
    r"""|(\#.*)"""
    r"""|(\S+)"""
)
BLOCK, LOOP = "data_", "loop_"
"""Words that begin a block and a table; STAR knows no difference of capital and small letters in them."""
LONGEST_LINE = 2**20
"""Characters from which on a line is taken to have no end, and the file to be something else."""
ROWS_PER_CHUNK = 50_000
"""Rows are packed into arrays this often: millions of separate strings would take gigabytes."""
UNSET = frozenset({"nan", "+nan", "-nan", "<na>", "na", "n/a", "none", "null", "-", ""})
"""How programs write, in any case, that a value is not known."""

_LABELS_DO_NOT_FIT = (
    "compare the labels above the line with its values: take out a label too many, or add what is missing; if the line "
    "is cut short or glued to another, export the file again"
)
_LINE_DOES_NOT_FIT = "the line is cut short or glued to another; export the file again or remove the line"


def read_star(path: Path | str) -> dict[str, pd.DataFrame]:
    """Read every block of a STAR file, in the order of the file; ``data_name`` becomes the key ``name``.

    A block of label-value pairs (no ``loop_``) is a table of one row. Text before the first block is passed over, as
    RELION does.

    Raises
    ------
    InputError
        The file is missing, not text or not STAR, a row has too many or too few values, a label or a block occurs
        twice. The row of the error is the line of the file.
    """
    file = Path(path)
    blocks: dict[str, _Block] = {}
    block: _Block | None = None
    for number, line in _lines(file):
        if _is_word(line, BLOCK):
            name = line.split()[0][len(BLOCK) :]
            if name in blocks:
                raise InputError(
                    f"a second block data_{name}",
                    file=file,
                    line=number,
                    fix="keep one block of each name; the file may be two files glued together",
                )
            block = blocks[name] = _Block(file)
        elif block is not None:
            block.take(line, number)
    if not blocks:
        raise InputError(
            "the file holds no data block",
            file=file,
            fix="give a STAR file: its tables stand under a line that begins with data_",
        )
    return {name: block.table() for name, block in blocks.items()}


def numbers(table: pd.DataFrame, label: str, file: Path | str) -> Float[np.ndarray, " n"]:
    """The column ``label`` as float64; ``file`` is for the error.

    Raises
    ------
    InputError
        The column is not there, or a value of it (the first one is named) is not a number.
    """
    if label not in table:
        raise InputError(f"there is no column {label}", file=file, fix=f"add {label}: it is needed")
    column = table[label]
    values: Float[np.ndarray, " n"]
    if pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(dtype=np.float64, copy=True)
        return values
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    text = column.astype(str).str.lower().str.endswith("nan").to_numpy(dtype=bool)
    wrong = np.flatnonzero(np.isnan(values) & ~text)
    if wrong.size:
        row = int(wrong[0])
        raise InputError(
            f"{label} is {column.iloc[row]!r}, which is not a number",
            file=file,
            row=int(table.index[row]) + 1,
            fix="correct the value or take the row out",
        )
    return values


def is_unset(column: pd.Series) -> Bool[np.ndarray, " n"]:
    """Mask of the values that are written as not known."""
    unset = column.isna()
    if not pd.api.types.is_numeric_dtype(column):
        unset |= column.astype(str).str.strip().str.lower().isin(UNSET)
    mask: Bool[np.ndarray, " n"] = unset.to_numpy(dtype=bool)
    return mask


def numeric_kind(column: pd.Series) -> str | None:
    """``"int64"`` or ``"float64"`` when every value of a text column is written as such a number, else None."""
    if not len(column) or not re.fullmatch(REAL, column.iloc[0]):
        return None
    if re.fullmatch(INTEGER, column.iloc[0]) and column.str.fullmatch(INTEGER).all():
        return "int64"
    return "float64" if column.str.fullmatch(REAL).all() else None


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    refuse_folder(file)
    try:
        with file.open("rb") as handle, TextIOWrapper(handle, encoding="utf-8-sig") as text:
            refuse_foreign(handle.peek(HEAD_BYTES)[:HEAD_BYTES], file)
            for number, line in enumerate(iter(lambda: text.readline(LONGEST_LINE), ""), 1):
                if "\0" in line:
                    raise InputError("the file is binary, not text", file=file, line=number, fix="give a STAR file")
                if len(line) == LONGEST_LINE:
                    what = f"a line has more than {LONGEST_LINE:,} characters"
                    raise InputError(what, file=file, line=number, fix="give a STAR file")
                stripped = line.strip()
                if stripped and not stripped.startswith("#"):
                    yield number, stripped
    except OSError as error:
        raise InputError(
            f"the file cannot be read ({error.strerror})", file=file, fix="check the name and the permissions"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"the file is not text (byte {error.start} is not valid UTF-8)",
            file=file,
            fix="give a STAR file, saved as UTF-8",
        ) from error


@dataclass(slots=True)
class _Block:
    """A block while it is read."""

    file: Path
    loop: bool = False
    labels: list[str] = field(default_factory=list)
    text_columns: set[int] = field(default_factory=set)
    rows: list[list[str]] = field(default_factory=list)
    chunks: list[pd.DataFrame] = field(default_factory=list)

    def take(self, line: str, number: int) -> None:
        """Take in one line of the block."""
        if _is_word(line, LOOP, exact=True):
            if self.labels:
                raise self._error("a second table in one block", number, "begin it with a data_ line of its own")
            self.loop = True
        elif (line.startswith("_") and not self.rows and not self.chunks) or (line.startswith("_") and not self.loop):
            self._take_label(line, number)
        elif self.loop:
            self._take_row(line, number)
        else:
            raise self._error("a value without a label", number, "a label begins with _, a table with loop_")

    def table(self) -> pd.DataFrame:
        """The table of the block, columns typed."""
        self._pack()
        table = pd.concat(self.chunks, ignore_index=True) if self.chunks else pd.DataFrame(columns=self.labels)
        for position, label in enumerate(self.labels):
            if position in self.text_columns or label.endswith("Name"):
                continue
            kind = numeric_kind(table[label])
            if kind:
                # through Python's own conversion: it alone is exact to the last bit
                table[label] = table[label].to_numpy(dtype=object).astype(kind)
        return table

    def _take_label(self, line: str, number: int) -> None:
        values, quoted = _split(line)
        label = values[0].removeprefix("_")
        if label in self.labels or not label:
            raise self._error(f"the column {label!r} occurs twice or has no name", number, "remove the column")
        self.labels.append(label)
        if self.loop:
            return
        if len(values) != 2:
            raise self._error(
                f"{label} has {len(values) - 1} values", number, "give one value, or a table begun with loop_"
            )
        self.rows = [[*(self.rows[0] if self.rows else []), values[1]]]
        if 1 in quoted:
            self.text_columns.add(len(self.labels) - 1)

    def _take_row(self, line: str, number: int) -> None:
        values, quoted = _split(line)
        if len(values) != len(self.labels):
            first = not self.rows and not self.chunks
            fix = _LABELS_DO_NOT_FIT if first else _LINE_DOES_NOT_FIT
            raise self._error(f"{len(values)} values in a table of {len(self.labels)} columns", number, fix)
        self.text_columns |= quoted
        self.rows.append(values)
        if len(self.rows) == ROWS_PER_CHUNK:
            self._pack()

    def _pack(self) -> None:
        if self.rows:
            self.chunks.append(pd.DataFrame(self.rows, columns=self.labels, dtype="str"))
            self.rows = []

    def _error(self, problem: str, number: int, fix: str) -> InputError:
        return InputError(problem, file=self.file, line=number, fix=fix)


def _is_word(line: str, keyword: str, *, exact: bool = False) -> bool:
    """Whether the line is a word, in any letter case, that begins with ``keyword`` or is it; a comment may follow.

    A row of a table may begin with such a word, as with a micrograph ``data_0001.mrc``: other values follow.
    """
    # most lines of most files are told by their first letters
    if line[: len(keyword)].lower() != keyword:
        return False
    word, *rest = line.split(maxsplit=1)
    return (not exact or len(word) == len(keyword)) and not (rest and rest[0][0] != "#")


def _split(line: str) -> tuple[list[str], set[int]]:
    """Values of a line and the positions of those that were quoted."""
    if '"' not in line and "'" not in line and "#" not in line:
        return line.split(), set()
    values: list[str] = []
    quoted: set[int] = set()
    for match in TOKEN.finditer(line):
        double, single, comment, plain = match.groups()
        if comment is not None:
            break
        if plain is None:
            quoted.add(len(values))
        values.append(next(part for part in (double, single, plain) if part is not None))
    return values, quoted
