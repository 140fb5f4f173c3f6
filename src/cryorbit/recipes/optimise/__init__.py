"""Any optimiser on the likelihood of a particle set, at one resolution, from a random start."""

from cryorbit.recipes.optimise.config import OptimiseConfig
from cryorbit.recipes.optimise.run import run

__all__ = ["OptimiseConfig", "run"]
