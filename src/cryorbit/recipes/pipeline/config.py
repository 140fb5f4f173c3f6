"""Settings of the whole way: those of its input, and a table for each stage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cryorbit.core.bounds import COARSEST_A
from cryorbit.recipes.abinit.config import AbinitSettings
from cryorbit.recipes.moments.config import MomentsSettings
from cryorbit.recipes.postprocess.config import PostprocessSettings
from cryorbit.recipes.refine.config import RefineSettings
from cryorbit.recipes.settings import ParticleSettings


class PipelineConfig(ParticleSettings):
    """Settings of a complete run, from particle images to sharpened maps."""

    start: Literal["abinit", "moments"] = Field(
        "abinit",
        description="How the first map is made: by ab initio reconstruction, or from moments of the images, which "
        "takes thousands of particles of one structure.",
    )
    classes: int = Field(1, ge=1, le=20, description="Number of maps of the ab initio stage.")
    seeds: int = Field(2, ge=1, le=50, description="Number of independent random starts of the ab initio stage.")
    refine_all: bool = Field(
        False, description="Whether to refine every class on its own particles, not only the first."
    )
    max_resolution: float | None = Field(
        None,
        gt=0,
        le=COARSEST_A,
        description="Finest resolution at which poses are scored in the refinement, Å. Default: as the images allow.",
    )
    abinit: AbinitSettings = AbinitSettings()
    moments: MomentsSettings = MomentsSettings()
    refine: RefineSettings = RefineSettings()
    postprocess: PostprocessSettings = PostprocessSettings()
