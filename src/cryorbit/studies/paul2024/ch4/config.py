"""Settings of chapter 4 of Paul (2024): how large its two problems are, and how long methods work on them."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar

from pydantic import Field

from cryorbit.core.bounds import MOST
from cryorbit.recipes.settings import Settings
from cryorbit.studies.settings import StudySettings

MOST_SEEDS = 1000
TOLERANCE = 1e-14


class AlignmentSettings(Settings):
    """Windowed multireference alignment, tables 4.1 and 4.2."""

    seeds: int = Field(3, ge=1, le=MOST_SEEDS, description="Number of seeds, each with data and a start of its own.")
    passes: float = Field(1000.0, gt=0, le=MOST, description="Cost-weighted epochs after which a method is given up.")
    tolerance: float = Field(
        TOLERANCE, ge=0, le=MOST, description="Difference of the objective between epochs below which a method stops."
    )
    observations: int = Field(3000, ge=1, le=MOST, description="Number of observations.")
    sigma: float = Field(0.2, gt=0, le=MOST, description="Standard deviation of the noise.")


class CryoEMSettings(Settings):
    """Low-dimensional cryo-EM, table 4.3."""

    seeds: int = Field(1, ge=1, le=MOST_SEEDS, description="Number of seeds, each with data and a start of its own.")
    passes: float = Field(300.0, gt=0, le=MOST, description="Cost-weighted epochs after which a method is given up.")
    tolerance: float = Field(
        TOLERANCE, ge=0, le=MOST, description="Difference of the objective between epochs below which a method stops."
    )
    images: int = Field(3600, ge=1, le=MOST, description="Number of images.")
    snr: float = Field(0.34, gt=0, le=MOST, description="Signal-to-noise ratio of the images.")
    design: int = Field(100, ge=1, le=MOST, description="View directions: points of a spherical design.")
    degree: int = Field(
        13, ge=1, le=MOST, description="Degree of the spherical harmonics that the design integrates exactly."
    )
    in_plane: int = Field(12, ge=1, le=MOST, description="In-plane angles of each view direction.")


class Chapter4Config(StudySettings):
    """Settings of chapter 4 of Paul (2024): alignment and low-dimensional cryo-EM by variance-reduced methods."""

    SIZES: ClassVar = MappingProxyType(
        {
            "medium": {"alignment": {"seeds": 10, "passes": 2000.0}, "cryoem": {"seeds": 2, "passes": 2000.0}},
            "full": {"alignment": {"seeds": 10, "passes": 5000.0}, "cryoem": {"seeds": 5, "passes": 2000.0}},
        }
    )

    alignment: AlignmentSettings = AlignmentSettings()
    cryoem: CryoEMSettings = CryoEMSettings()

    def seeds_of(self, count: int) -> range:
        """So many seeds from the first one on."""
        return range(self.seed, self.seed + count)
