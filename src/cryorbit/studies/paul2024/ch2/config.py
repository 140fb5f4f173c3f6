"""Settings of chapter 2 of Paul (2024): encoders of moments, data sets that they are refined to, and cryo-EM."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar

from pydantic import Field

from cryorbit.core.bounds import MOST
from cryorbit.recipes.settings import Settings
from cryorbit.studies.paul2024.moments.data_settings import BOTH_WAYS, DataSettings
from cryorbit.studies.settings import StudySettings


class TrainingSettings(Settings):
    """Training of the encoders of multireference alignment, table 2.1."""

    length: int = Field(32, ge=4, le=MOST, description="Length of the signals, samples.")
    steps: int = Field(600, ge=1, le=MOST, description="Training steps of each encoder.")
    batch: int = Field(64, ge=1, le=MOST, description="New examples per training step.")
    rate: float = Field(3e-3, gt=0, le=MOST, description="First learning rate.")
    test_count: int = Field(4000, ge=1, le=MOST, description="Number of examples of the test.")


class RecoverySettings(Settings):
    """Noisy data sets whose moments are matched, figure 2.4."""

    sets: int = Field(3, ge=1, le=MOST, description="Number of data sets.")
    observations: int = Field(100_000, ge=1, le=MOST, description="Observations of each data set.")
    steps: int = Field(200, ge=1, le=MOST, description="Steps by which the encoders are refined to a data set.")
    every: int = Field(5, ge=1, le=MOST, description="Steps between two points of the curves.")


class CryoEMSettings(DataSettings):
    """Cryo-EM by an encoder of views and a network for the volume, tables 2.2 and 2.3."""

    images: int = Field(20_000, ge=1, le=MOST, description="Images of each data set.")
    box: int = Field(64, ge=16, le=1024, description="Box of the images, pixels.")
    radius: int = Field(8, ge=1, le=14, description="Largest Fourier radius that is matched, Fourier pixels.")
    orders: int = Field(11, ge=0, le=MOST, description="Largest angular order of the moments.")
    steps: int = Field(100, ge=1, le=MOST, description="Steps of a fit.")
    rate: float = Field(1e-3, gt=0, le=MOST, description="First learning rate of a fit.")


class Chapter2Config(StudySettings):
    """Settings of chapter 2 of Paul (2024): alignment by encoders of moments, and cryo-EM."""

    SIZES: ClassVar = MappingProxyType(
        {
            "medium": {
                "spectral": 200,
                "training": {"steps": 10_000, "test_count": 100_000},
                "recovery": {"sets": 20, "observations": 1_000_000, "steps": 1000, "every": 10},
                "cryoem": {"images": 100_000, "steps": 400, "truth_steps": 400, "ways": BOTH_WAYS, "cheap": False},
            },
            "full": {
                "spectral": 200,
                "training": {"steps": 25_000, "test_count": 250_000},
                "recovery": {"sets": 20, "observations": 1_000_000, "steps": 3000, "every": 10},
                "cryoem": {"images": 1_000_000, "steps": 1500, "truth_steps": 1000, "ways": BOTH_WAYS, "cheap": False},
            },
        }
    )

    spectral: int = Field(20, ge=1, le=MOST, description="Number of examples on which the spectral method is tried.")
    training: TrainingSettings = TrainingSettings()
    recovery: RecoverySettings = RecoverySettings()
    cryoem: CryoEMSettings = CryoEMSettings()
