"""Settings of the comparison of Punjani & Brubaker (2014)."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar

from pydantic import Field

from cryorbit.core.bounds import MOST
from cryorbit.studies.settings import StudySettings


class Punjani2014Config(StudySettings):
    """Settings of Punjani & Brubaker (2014): seven stochastic optimisers from a random start."""

    SIZES: ClassVar = MappingProxyType(
        {
            "medium": {"images": 20_000, "epochs": 10.0, "undersampling": 2.0},
            "full": {"images": 50_000, "epochs": 10.0, "looks": 10, "undersampling": 1.0},
        }
    )

    images: int = Field(3000, ge=1, le=MOST, description="Number of images that train, of each data set.")
    held_out: int = Field(100, ge=1, le=MOST, description="Number of images held out of each data set.")
    epochs: float = Field(
        4.0, gt=0, le=MOST, description="Gradients of single images that a method has, as a multiple of their number."
    )
    batch_epochs: float = Field(
        5.0, gt=0, le=MOST, description="Iterations of batch EM and of projection matching, over all images."
    )
    looks: int = Field(5, ge=1, le=MOST, description="Evaluations of the held-out images per epoch.")
    undersampling: float = Field(
        1.5, gt=0, le=MOST, description="Spacing of the poses, as a multiple of the one that the radius asks for."
    )
    cylinder_radius: float = Field(
        6.4, ge=1, le=16, description="Largest Fourier radius scored of the cylinder, Fourier pixels of 128."
    )
    ribosome_radius: float = Field(
        10.24, ge=1, le=16, description="Largest Fourier radius scored of the ribosome, Fourier pixels of 128."
    )
