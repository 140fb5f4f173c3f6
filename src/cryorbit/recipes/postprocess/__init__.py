"""From half-maps to a map for people: mask, resolution, sharpening, local resolution, evenness of directions."""

from cryorbit.recipes.postprocess.config import PostprocessConfig
from cryorbit.recipes.postprocess.inputs import input_files
from cryorbit.recipes.postprocess.outputs import PostprocessResult
from cryorbit.recipes.postprocess.run import run

__all__ = ["PostprocessConfig", "PostprocessResult", "input_files", "run"]
