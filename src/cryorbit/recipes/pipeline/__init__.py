"""The whole way from particle images to sharpened maps: a first map, refinement, post-processing."""

from cryorbit.recipes.pipeline.config import PipelineConfig as PipelineConfig
from cryorbit.recipes.pipeline.run import run as run
