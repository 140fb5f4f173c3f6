"""Settings of chapter 3 of Paul (2024): the training of MoM-net, and what it inverts."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, ClassVar

from pydantic import Field

from cryorbit.core.bounds import MOST
from cryorbit.recipes.settings import Settings
from cryorbit.studies.paul2024.moments.data_settings import BOTH_WAYS, DataSettings
from cryorbit.studies.settings import StudySettings


class TrainingSettings(Settings):
    """The supervised phase of MoM-net, table 3.1."""

    atoms: int = Field(20, ge=1, le=MOST, description="Atoms of the random structures.")
    steps: int = Field(300, ge=1, le=MOST, description="Training steps of the encoder.")
    batch: int = Field(32, ge=1, le=MOST, description="New data sets per training step.")
    rate: float = Field(2e-3, gt=0, le=MOST, description="First learning rate of the training.")
    test_count: int = Field(500, ge=1, le=MOST, description="Number of data sets of the test.")


class Chapter3Config(DataSettings, StudySettings):
    """Settings of chapter 3 of Paul (2024): MoM-net, from moments of images to volume, views and shifts."""

    SIZES: ClassVar = MappingProxyType(
        {
            "medium": {
                "training": {"steps": 2000, "batch": 64, "test_count": 5000},
                "images": 100_000,
                "fit_steps": 400,
                "truth_steps": 400,
                "ways": BOTH_WAYS,
                "cheap": False,
            },
            "full": {
                "training": {"steps": 6000, "batch": 64, "test_count": 13_000},
                "images": 500_000,
                "fit_steps": 800,
                "truth_steps": 1000,
                "ways": BOTH_WAYS,
                "cheap": False,
            },
        }
    )

    training: TrainingSettings = TrainingSettings()
    images: int = Field(20_000, ge=1, le=MOST, description="Images of each data set.")
    box: int = Field(46, ge=16, le=1024, description="Box of the images, pixels, in which shifts are counted.")
    radius: int = Field(7, ge=1, le=14, description="Largest Fourier radius that is matched, Fourier pixels.")
    orders: int = Field(10, ge=0, le=MOST, description="Largest angular order of the moments.")
    etas: tuple[Annotated[float, Field(ge=0, le=MOST)], ...] = Field(
        (0.0, 2.0, 4.0), min_length=1, description="Standard deviations of the shifts of the data sets, pixels."
    )
    eta_most: float = Field(
        4.0, gt=0, le=MOST, description="Largest standard deviation of shifts that MoM-net allows, pixels."
    )
    fit_steps: int = Field(100, ge=1, le=MOST, description="Steps of a fit to moments.")
    fit_rate: float = Field(1e-3, gt=0, le=MOST, description="First learning rate of a fit to moments.")
