"""Settings of the study of variance reduction on volumes."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar

from pydantic import Field

from cryorbit.core.bounds import MOST
from cryorbit.studies.settings import StudySettings


class VolumesConfig(StudySettings):
    """Settings of what chapter 4 of Paul (2024) leaves open: variance-reduced methods on volumes."""

    SIZES: ClassVar = MappingProxyType(
        {
            "medium": {
                "images": 2000,
                "held_out": 200,
                "radius": 8.0,
                "undersampling": 1.5,
                "seeds": 3,
                "passes": 30.0,
            },
            "full": {
                "images": 2000,
                "held_out": 200,
                "radius": 10.0,
                "shift_sigma": 1.5,
                "undersampling": 1.5,
                "seeds": 3,
                "passes": 60.0,
            },
        }
    )

    images: int = Field(1000, ge=1, le=MOST, description="Number of images that train.")
    held_out: int = Field(100, ge=1, le=MOST, description="Number of images that are held out and judge.")
    radius: float = Field(5.0, ge=1, le=32, description="Largest Fourier radius that is scored, Fourier pixels.")
    shift_sigma: float = Field(0.0, ge=0, le=16, description="Standard deviation of the particles' shifts, pixels.")
    undersampling: float = Field(
        2.0, gt=0, le=MOST, description="Spacing of the poses, as a multiple of the one that the radius asks for."
    )
    seeds: int = Field(1, ge=1, le=1000, description="Number of seeds, each with data and a start of its own.")
    passes: float = Field(10.0, gt=0, le=MOST, description="Passes over the images that a method has.")
    looks: int = Field(1, ge=1, le=MOST, description="Evaluations of the likelihood per pass.")
