"""What a particle set holds and whether it is fit for reconstruction, said before anything is computed from it."""

from cryorbit.recipes.inspect.findings import Inspection
from cryorbit.recipes.inspect.run import InspectConfig, run

__all__ = ["InspectConfig", "Inspection", "run"]
