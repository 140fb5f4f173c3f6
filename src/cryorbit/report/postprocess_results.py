"""What a post-processing job holds besides its map, read for the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from cryorbit.io.job_folder import JobFolder
from cryorbit.io.mrc import read_map
from cryorbit.recipes.postprocess import PostprocessResult


@dataclass(frozen=True, slots=True)
class PostprocessResults:
    """Numbers, curves and maps of a post-processing job; None for what is not there.

    Attributes
    ----------
    numbers
        Its result.
    guinier
        Logarithm of the amplitudes, and the line fitted.
    cones
        Correlation by direction, its spread a shell.
    local
        Local resolution at every voxel, A.
    mask
        Soft mask of the particle.
    """

    numbers: PostprocessResult | None
    guinier: pd.DataFrame | None
    cones: pd.DataFrame | None
    local: Float[np.ndarray, "z y x"] | None
    mask: Float[np.ndarray, "z y x"] | None


def read_postprocess(job: JobFolder) -> PostprocessResults:
    """Read what there is."""
    folder = job.path
    return PostprocessResults(
        numbers=job.read_result(PostprocessResult) if job.read().get("result") else None,
        guinier=_read_csv(folder / "guinier.csv"),
        cones=_read_csv(folder / "conical_fsc.csv"),
        local=_read_volume(folder / "local_resolution.mrc"),
        mask=_read_volume(folder / "mask.mrc"),
    )


def _read_csv(file: Path) -> pd.DataFrame | None:
    return pd.read_csv(file) if file.exists() else None


def _read_volume(file: Path) -> Float[np.ndarray, "z y x"] | None:
    return read_map(file)[0].numpy() if file.exists() else None
