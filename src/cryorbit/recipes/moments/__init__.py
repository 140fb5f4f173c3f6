"""A first map from moments: one pass over the images, then moments inverted, without the pose of any image."""

from cryorbit.recipes.moments.config import MomentsConfig as MomentsConfig
from cryorbit.recipes.moments.config import input_files as input_files
from cryorbit.recipes.moments.outputs import MomentsResult as MomentsResult
from cryorbit.recipes.moments.run import run as run
