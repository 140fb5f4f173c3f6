"""Which rows of a particle table a query on the columns finds."""

from __future__ import annotations

import difflib
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Int

from cryorbit.core.errors import InputError
from cryorbit.io.query import QueryError, UnknownColumnError, evaluate

GROUP = "rlnOpticsGroup"
LONGEST_SHOWN = 200


def matching_rows(table: pd.DataFrame, optics: pd.DataFrame | None, query: str, file: Path) -> Int[np.ndarray, " m"]:
    """Indices of the rows of a table of particles that match a query.

    Parameters
    ----------
    table, optics
        The particles, a row each, and their optics groups.
    query
        Comparisons of columns, for example ``rlnDefocusU < 30000 and rlnVoltage == 300``; see `cryorbit.io.query`.
        Columns of the optics groups are known beside those of the particles.
    file
        Where the tables came from.

    Raises
    ------
    InputError
        The query cannot be read, names an unknown column, is not a comparison, or matches no particle.
    """
    columns = _with_optics(table, optics)
    try:
        matches = evaluate(query, columns)
    except UnknownColumnError as error:
        raise _unknown_column(error.name, columns) from error
    except QueryError as error:
        fix = 'write a comparison of columns, for example "rlnDefocusU < 30000 and rlnVoltage == 300"'
        raise InputError(f"the query {_shown(query)} cannot be read: {error}", fix=fix) from error
    if not matches.any():
        raise InputError(f"the query {_shown(query)} matches no particle", file=file, fix="widen the query")
    rows: Int[np.ndarray, " m"] = matches.to_numpy().nonzero()[0]
    return rows


def _with_optics(table: pd.DataFrame, optics: pd.DataFrame | None) -> pd.DataFrame:
    """The table with the columns of each particle's optics group."""
    if optics is None or GROUP not in table or GROUP not in optics:
        return table
    more = [GROUP, *(name for name in optics if name not in table)]
    return table.merge(optics[more], on=GROUP, how="left")


def _unknown_column(name: str, table: pd.DataFrame) -> InputError:
    nearest = difflib.get_close_matches(name, list(table), n=1)
    fix = f"did you mean {nearest[0]}?" if nearest else f"the columns are {', '.join(table)}"
    return InputError(f"the query names {name!r}, and there is no such column", fix=fix)


def _shown(query: str) -> str:
    return repr(query if len(query) <= LONGEST_SHOWN else f"{query[:LONGEST_SHOWN]}...")
