"""Parts of a particle set: the rows that a query on the columns finds, and rows drawn at random."""

from __future__ import annotations

import difflib
import re

import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.io.particles import Particles

GROUP = "rlnOpticsGroup"


def rows_where(particles: Particles, query: str) -> Int[Tensor, " m"]:
    """Indices of the particles of which a query holds.

    Parameters
    ----------
    particles
        The set.
    query
        A comparison of columns as pandas writes it, for example ``rlnDefocusU < 30000 and rlnVoltage == 300``. Columns
        of the optics groups are known beside those of the particles.

    Raises
    ------
    InputError
        The query cannot be read, names an unknown column, is no comparison, or holds of no particle.
    """
    table = _with_optics(particles)
    try:
        found = table.eval(query, engine="python", local_dict={}, global_dict={})
    except NameError as error:
        raise _unknown_column(str(error), table) from error
    except (SyntaxError, TypeError, ValueError, KeyError, AttributeError, NotImplementedError) as error:
        raise _no_query(query, str(error)) from error
    if not isinstance(found, pd.Series) or found.dtype != bool:
        raise _no_query(query, "it is neither true nor false of a particle")
    if not found.any():
        raise InputError(f"the query {query!r} holds of no particle", file=particles.source, mend="widen the query")
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


def _unknown_column(message: str, table: pd.DataFrame) -> InputError:
    name = (re.findall(r"'([^']+)'", message) or [message])[0]
    nearest = difflib.get_close_matches(name, list(table), n=1)
    mend = f"did you mean {nearest[0]}?" if nearest else f"the columns are {', '.join(table)}"
    return InputError(f"the query names {name!r}, and there is no such column", mend=mend)


def _no_query(query: str, problem: str) -> InputError:
    mend = 'write a comparison of columns, for example "rlnDefocusU < 30000 and rlnVoltage == 300"'
    return InputError(f"the query {query!r} cannot be read: {problem}", mend=mend)
