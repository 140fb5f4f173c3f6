"""Refinement of maps and poses to the resolution that the data hold, with independent half-sets."""

from cryorbit.recipes.refine.config import RefineConfig
from cryorbit.recipes.refine.outputs import RefineResult
from cryorbit.recipes.refine.run import run

__all__ = ["RefineConfig", "RefineResult", "run"]
