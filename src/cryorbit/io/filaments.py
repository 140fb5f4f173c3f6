"""Whether particles are segments of filaments, and of which: neighbours overlap, and show the same subunits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.io.micrograph_places import MICROGRAPH, micrograph_numbers
from cryorbit.io.particles import Particles

FILAMENT, PLACE_ALONG = "rlnHelicalTubeID", "rlnHelicalTrackLengthAngst"
"""The number of a filament on its micrograph, 0 for none, and the place of a segment along it."""


def segment_label(table: pd.DataFrame) -> str | None:
    """The column, in RELION's labels, that says that particles are segments of filaments; None where none does."""
    return next((label for label in (FILAMENT, PLACE_ALONG) if label in table and _numbers(table, label).any()), None)


def filament_numbers(particles: Particles) -> Int[Tensor, " n"] | None:
    """Number from 0 of the filament of each particle, one of its own for each that is of none; None where unknown."""
    table = particles.table
    if segment_label(table) != FILAMENT or MICROGRAPH not in table:
        return None
    on_micrograph, micrograph = _numbers(table, FILAMENT), micrograph_numbers(particles)
    alone = (on_micrograph == 0) | (micrograph < 0)
    places = [micrograph, on_micrograph, np.where(alone, np.arange(len(table)), -1)]
    return torch.from_numpy(pd.MultiIndex.from_arrays(places).factorize()[0].astype(np.int64))


def _numbers(table: pd.DataFrame, label: str) -> Float[np.ndarray, " n"]:
    """Numbers of a column; 0 for what is none."""
    values: Float[np.ndarray, " n"] = pd.to_numeric(table[label], errors="coerce").fillna(0).to_numpy(np.float64)
    return values
