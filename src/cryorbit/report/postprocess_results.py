"""What a post-processing job holds besides its map, read for the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from cryorbit.io.mrc import read_map


@dataclass(frozen=True, slots=True)
class PostprocessResults:
    """Curves and maps of a post-processing job; None for what is not there.

    Attributes
    ----------
    guinier
        Logarithm of the amplitudes, and the line fitted.
    cones
        Correlation by direction, its spread a shell.
    local
        Local resolution at every voxel, A.
    mask
        Soft mask of the particle.
    """

    guinier: pd.DataFrame | None
    cones: pd.DataFrame | None
    local: Float[np.ndarray, "z y x"] | None
    mask: Float[np.ndarray, "z y x"] | None


def read_postprocess(folder: Path) -> PostprocessResults:
    """Read what there is."""
    return PostprocessResults(
        guinier=_read_csv(folder / "guinier.csv"),
        cones=_read_csv(folder / "conical_fsc.csv"),
        local=_read_volume(folder / "local_resolution.mrc"),
        mask=_read_volume(folder / "mask.mrc"),
    )


def _read_csv(file: Path) -> pd.DataFrame | None:
    return pd.read_csv(file) if file.exists() else None


def _read_volume(file: Path) -> Float[np.ndarray, "z y x"] | None:
    return read_map(file)[0].numpy() if file.exists() else None
