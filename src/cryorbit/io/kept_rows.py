"""Rows of numbers in half precision, kept while a job runs: in main memory, or in a file that has no name.

Such a file goes when the process ends, however it ends: nothing is left behind that someone would have to remove, or
that a later job could mistake for a complete one.
"""

from __future__ import annotations

import tempfile
from io import FileIO
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float16, Int
from torch import Tensor

from cryorbit.core.errors import InputError

BYTES = 2
"""Of a number."""


class Rows(Protocol):
    """Rows of W numbers at places from 0, each of which is written before it is read."""

    def write(self, first: int, rows: Float16[Tensor, "r w"]) -> None:
        """Write consecutive rows; ``OSError`` where there is no more room."""
        ...

    def read(self, places: Int[Tensor, " b"], width: int) -> Float16[Tensor, "b v"]:
        """Return the first ``width`` numbers of the rows at ``places``."""
        ...

    def close(self) -> None:
        """Give the memory or the disk space back."""
        ...


class RowsInMemory:
    """Rows in main memory, which is taken as they are written; see `Rows`.

    Parameters
    ----------
    count, width
        Number of rows, and of numbers of a row.
    """

    def __init__(self, count: int, width: int) -> None:
        self._rows = torch.empty(count, width, dtype=torch.float16)

    def write(self, first: int, rows: Float16[Tensor, "r w"]) -> None:
        """Write consecutive rows."""
        self._rows[first : first + len(rows)] = rows

    def read(self, places: Int[Tensor, " b"], width: int) -> Float16[Tensor, "b v"]:
        """Return the first ``width`` numbers of the rows at ``places``."""
        return self._rows[:, :width][places]

    def close(self) -> None:
        """Give the memory back."""
        del self._rows


class RowsInFile:
    """Rows in a file without a name, read and written as needed; see `Rows`.

    Parameters
    ----------
    folder
        Where the file is.
    count, width
        Number of rows, and of numbers of a row.
    """

    def __init__(self, folder: Path, count: int, width: int) -> None:
        self._file = _unnamed_file(folder)
        self._file.truncate(count * width * BYTES)
        self._width = width

    def write(self, first: int, rows: Float16[Tensor, "r w"]) -> None:
        """Write consecutive rows; ``OSError`` where there is no more room."""
        left = rows.contiguous().numpy().data.cast("B")
        self._file.seek(first * self._width * BYTES)
        while left:
            left = left[self._file.write(left) :]

    def read(self, places: Int[Tensor, " b"], width: int) -> Float16[Tensor, "b v"]:
        """Return the first ``width`` numbers of the rows at ``places``."""
        rows = torch.empty(len(places), width, dtype=torch.float16)
        into = rows.numpy().view(np.uint8).reshape(-1).data
        for first, stop in _read_at_once(places, whole=width == self._width):
            self._file.seek(int(places[first]) * self._width * BYTES)
            left = into[first * width * BYTES : stop * width * BYTES]
            while left:
                left = left[self._file.readinto(left) :]
        return rows

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()


def require_scratch_folder(folder: Path) -> None:
    """Raise `InputError` unless files can be made in ``folder``."""
    try:
        _unnamed_file(folder).close()
    except OSError as error:
        raise InputError(
            f"cannot create files in the scratch folder ({error.strerror})",
            file=folder,
            fix="choose an existing folder that you can write to (--scratch)",
        ) from error


def _unnamed_file(folder: Path) -> FileIO:
    return tempfile.TemporaryFile(buffering=0, dir=folder)


def _read_at_once(places: Int[Tensor, " b"], *, whole: bool) -> list[tuple[int, int]]:
    """Bounds of the parts of ``places`` that lie side by side in the file: single ones unless rows are read whole."""
    if not len(places):
        return []
    is_break = (places.diff() != 1) | (not whole)
    return list(pairwise([0, *(torch.nonzero(is_break)[:, 0] + 1).tolist(), len(places)]))
