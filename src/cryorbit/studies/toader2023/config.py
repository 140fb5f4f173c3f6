"""Settings of the study of conditioning, Toader, Brubaker & Lederman (2025)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, ClassVar

from pydantic import Field

from cryorbit.core.bounds import MOST
from cryorbit.recipes.settings import Settings
from cryorbit.studies.settings import StudySettings

MOST_PIXELS = 1024
Radius = Annotated[float, Field(ge=1, le=MOST_PIXELS)]
Count = Annotated[int, Field(ge=1, le=MOST)]


class MarginalSettings(Settings):
    """The comparison with poses integrated over a neighbourhood."""

    images: Count = Field(300, description="Number of images.")
    radius: Radius = Field(12.0, description="Largest Fourier radius, Fourier pixels.")
    epochs: int = Field(5, ge=1, le=1000, description="Epochs of every method; one method has twice as many.")


class Toader2023Config(StudySettings):
    """Settings of Toader, Brubaker & Lederman (2025): condition numbers and preconditioned stochastic gradients."""

    SIZES: ClassVar = MappingProxyType(
        {
            "medium": {"box": 96, "radius": 45.0, "radii": (6.0, 12.0, 18.0), "counts": (100, 1600)},
            "full": {
                "box": 128,
                "radius": 60.0,
                "radii": (6.0, 12.0, 18.0),
                "counts": (100, 1600),
                "marginal": {"images": 400, "radius": 16.0},
            },
        }
    )

    box: int = Field(64, ge=16, le=MOST_PIXELS, description="Box of the images in known poses, pixels.")
    images: Count = Field(1500, description="Number of images in known poses.")
    radius: Radius = Field(30.0, description="Largest Fourier radius in known poses, Fourier pixels.")
    small_box: int = Field(
        64, ge=16, le=MOST_PIXELS, description="Box of the images of the other parts of the study, pixels."
    )
    radii: tuple[Radius, ...] = Field(
        (6.0, 12.0), min_length=1, description="Fourier radii for which condition numbers are computed, Fourier pixels."
    )
    counts: tuple[Count, ...] = Field(
        (100, 1500), min_length=1, description="Numbers of images for which condition numbers are computed."
    )
    marginal: MarginalSettings = MarginalSettings()
