"""Columns of whole numbers: classes, half-sets, groups; a value that is not known is never taken for one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Int

from cryorbit.core.errors import InputError
from cryorbit.io.star import is_unset, numbers

MOST = 2.0**62
"""No count or number of a table reaches it."""


def integers(table: pd.DataFrame, label: str, file: Path | str, unset: int | None = None) -> Int[np.ndarray, " n"]:
    """The column ``label`` as int64; ``unset`` stands for values that are not known, where it is given.

    Raises
    ------
    InputError
        The column is not there, or a value of it is not a whole number, or not known and ``unset`` is None.
    """
    values: Int[np.ndarray, " n"]
    if label in table and pd.api.types.is_integer_dtype(table[label]):
        values = table[label].to_numpy(dtype=np.int64, copy=True)
        return values
    unknown = is_unset(table[label]) if label in table else np.zeros(len(table), dtype=bool)
    known = numbers(table.loc[~unknown], label, file)
    values = np.full(len(table), -1 if unset is None else unset, dtype=np.int64)
    is_integer = np.isfinite(known) & (np.abs(known) < MOST)
    is_integer[is_integer] = known[is_integer] == np.round(known[is_integer])
    wrong = unknown & (unset is None)
    wrong[~unknown] |= ~is_integer
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"{label} is {table[label].iloc[row]}, not a whole number",
            file=file,
            row=int(table.index[row]) + 1,
            fix="correct the value or take the row out",
        )
    values[~unknown] = known.astype(np.int64)
    return values
