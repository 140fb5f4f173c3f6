"""Parts of a particle set: the rows that a query on the columns finds, and rows drawn at random."""

from __future__ import annotations

import difflib

import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.io.particles import Particles
from cryorbit.io.query import QueryError, UnknownColumnError, evaluate

GROUP = "rlnOpticsGroup"
LONGEST_SHOWN = 200


def rows_where(particles: Particles, query: str) -> Int[Tensor, " m"]:
    """Indices of the particles of which a query holds.

    Parameters
    ----------
    particles
        The set.
    query
        Comparisons of columns, for example ``rlnDefocusU < 30000 and rlnVoltage == 300``; see `cryorbit.io.query`.
        Columns of the optics groups are known beside those of the particles.

    Raises
    ------
    InputError
        The query cannot be read, names an unknown column, is no comparison, or holds of no particle.
    """
    table = _with_optics(particles)
    try:
        found = evaluate(query, table)
    except UnknownColumnError as error:
        raise _unknown_column(error.name, table) from error
    except QueryError as error:
        mend = 'write a comparison of columns, for example "rlnDefocusU < 30000 and rlnVoltage == 300"'
        raise InputError(f"the query {_shown(query)} cannot be read: {error}", mend=mend) from error
    if not found.any():
        raise InputError(
            f"the query {_shown(query)} holds of no particle", file=particles.source, mend="widen the query"
        )
    return torch.from_numpy(found.to_numpy().nonzero()[0])


def random_rows(particles: Particles, count: int, generator: torch.Generator) -> Int[Tensor, " m"]:
    """Indices of ``count`` particles drawn without replacement, in the order of the file; all if there are no more."""
    return torch.randperm(len(particles), generator=generator)[:count].sort().values


def _with_optics(particles: Particles) -> pd.DataFrame:
    """The table with the columns of each particle's optics group."""
    table, optics = particles.table, particles.optics
    if optics is None or GROUP not in table or GROUP not in optics:
        return table
    more = [GROUP, *(name for name in optics if name not in table)]
    return table.merge(optics[more], on=GROUP, how="left")


def _unknown_column(name: str, table: pd.DataFrame) -> InputError:
    nearest = difflib.get_close_matches(name, list(table), n=1)
    mend = f"did you mean {nearest[0]}?" if nearest else f"the columns are {', '.join(table)}"
    return InputError(f"the query names {name!r}, and there is no such column", mend=mend)


def _shown(query: str) -> str:
    return repr(query if len(query) <= LONGEST_SHOWN else f"{query[:LONGEST_SHOWN]}...")
