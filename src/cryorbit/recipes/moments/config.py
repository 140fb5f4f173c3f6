"""Settings of a map from moments."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from cryorbit.core.bounds import COARSEST_A, MOST
from cryorbit.recipes.settings import ParticleSettings, Settings


class MomentsSettings(Settings):
    """Settings of a map from moments alone, without those of its particles."""

    resolution: float | None = Field(
        None,
        gt=0,
        le=COARSEST_A,
        description="Finest resolution of the map, Å. Default: 30 Å, coarser for large particles.",
    )
    starts: int = Field(4, ge=1, le=MOST, description="Number of random starts for each half of the particles.")
    kept: int = Field(
        2, ge=1, le=MOST, description="Number of best starts of each half that are continued at the fine level."
    )
    coarse_steps: int = Field(120, ge=1, le=MOST, description="Optimisation steps of each coarse fit.")
    fine_steps: int = Field(200, ge=1, le=MOST, description="Optimisation steps of each fine fit.")
    density_degree: int = Field(
        4,
        ge=0,
        le=MOST,
        description="Degree of the spherical harmonics that describe the density of views; 0 for uniform views.",
    )


class MomentsConfig(MomentsSettings, ParticleSettings):
    """Settings of a job that makes a map from moments."""

    compare: Path | None = Field(None, description="Another map of the particle to compare with (MRC). Default: none.")


def input_files(config: MomentsConfig) -> list[Path]:
    """The files that the recipe reads."""
    return [file for file in (config.particles, config.compare) if file is not None]
