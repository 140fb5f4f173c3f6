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
    """What is particular to post-processing, wherever its half-maps come from."""

    b_factor: float | None = Field(None, ge=-10_000, le=10_000, description="A^2, negative sharpens. None: fitted.")
    low_pass: float | None = Field(None, gt=0, le=COARSEST_A, description="A. None: at the resolution found.")
    local_threshold: float = Field(0.5, gt=0, lt=1, description="Correlation at which local resolution is read.")
    local_window: float | None = Field(
        None, gt=0, le=COARSEST_A, description="Diameter of its window, A. None: 6 times the resolution."
    )
    local_filter: bool = Field(False, description="Also write the map filtered to its local resolution.")


class PostprocessConfig(PostprocessSettings, JobSettings):
    """Everything that determines a post-processed map; either ``folder`` or both half-maps are given."""

    folder: Path | None = Field(None, description="Folder with half-maps, and particles.star if there is one.")
    output: Path = Field(description="Job folder. Not given: postprocess/ beside the half-maps.")
    half1: Path | None = Field(None, description="First half-map, unfiltered.")
    half2: Path | None = Field(None, description="Second half-map, unfiltered.")
    class_number: int = Field(
        1, ge=1, le=MOST, description="Class whose half-maps and particles are taken from the folder."
    )
    particles: Path | None = Field(None, description="STAR file with poses. None: the folder's, if it has one.")
    mask: Path | None = Field(None, description="Soft mask in [0, 1]. None: found from the map.")
    pixel_size: float | None = Field(None, gt=0, le=COARSEST_A, description="A. None: as the half-maps say.")
    symmetry: str = Field("C1", description="Point group of the map; it multiplies the views.")

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
