"""Settings of post-processing: what the command line, a TOML file and the Python API share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from cryorbit.core.bounds import COARSEST_A, MOST
from cryorbit.core.errors import InputError
from cryorbit.recipes.settings import JobSettings, Settings


class PostprocessSettings(Settings):
    """Settings of post-processing alone, without those of its half-maps."""

    b_factor: float | None = Field(
        None, ge=-10_000, le=10_000, description="B-factor, Å²; negative sharpens, positive blurs. Default: fitted."
    )
    low_pass: float | None = Field(
        None,
        gt=0,
        le=COARSEST_A,
        description="Low-pass filter of the sharpened map, Å. Default: the measured resolution.",
    )
    local_threshold: float = Field(0.5, gt=0, lt=1, description="FSC threshold of the local resolution.")
    local_window: float | None = Field(
        None,
        gt=0,
        le=COARSEST_A,
        description="Diameter of the window of the local resolution, Å. Default: 6 times the resolution.",
    )
    local_filter: bool = Field(False, description="Whether to also write the map filtered to its local resolution.")


class PostprocessConfig(PostprocessSettings, JobSettings):
    """Settings of post-processing; give either ``folder`` or both half-maps."""

    folder: Path | None = Field(
        None,
        description="Folder with half-maps and, if there is one, particles.star. Default: half1 and half2 are used.",
    )
    output: Path = Field(description="Job folder. Default: postprocess/ beside the half-maps.")
    half1: Path | None = Field(None, description="First half-map, unfiltered (MRC). Default: that of the folder.")
    half2: Path | None = Field(None, description="Second half-map, unfiltered (MRC). Default: that of the folder.")
    class_number: int = Field(
        1, ge=1, le=MOST, description="Class whose half-maps and particles are taken from the folder."
    )
    particles: Path | None = Field(
        None, description="STAR file with poses. Default: particles.star of the folder, if there is one."
    )
    mask: Path | None = Field(None, description="Soft mask with values from 0 to 1 (MRC). Default: made from the map.")
    pixel_size: float | None = Field(
        None, gt=0, le=COARSEST_A, description="Pixel size of the half-maps, Å. Default: that of their headers."
    )
    symmetry: str = Field("C1", description="Point group of the map, by which its views are multiplied.")

    @model_validator(mode="before")
    @classmethod
    def _beside_the_half_maps(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Where the results go, unless that is told: ``postprocess`` in the folder of the half-maps."""
        if values.get("output") is not None:
            return values
        place = values.get("folder")
        if place is None and values.get("half1") is not None:
            place = Path(values["half1"]).parent
        if place is None:
            raise InputError("there is nothing to process", fix="give a folder, or --half1 and --half2")
        return {"output": Path(place) / "postprocess", **values}
