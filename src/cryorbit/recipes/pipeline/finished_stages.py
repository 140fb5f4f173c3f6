"""What the stages hand on to the verdict and the files of the whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryorbit.recipes.map_files import MapFiles
from cryorbit.recipes.pipeline.first_map import FirstMap, FirstResult
from cryorbit.recipes.postprocess import PostprocessResult
from cryorbit.recipes.refine import RefineResult


@dataclass(frozen=True, slots=True)
class RefinedClass:
    """One class that went the whole way.

    Attributes
    ----------
    number
        Of the first stage, from 1.
    name
        What the report calls it.
    files
        Names of its files in the folder of the whole.
    refined_in, sharpened_in
        Job folders of its refinement and of its post-processing.
    refined, sharpened
        The results of both.
    """

    number: int
    name: str
    files: MapFiles
    refined_in: Path
    sharpened_in: Path
    refined: RefineResult
    sharpened: PostprocessResult


@dataclass(frozen=True, slots=True)
class FinishedStages:
    """All stages of the job.

    Attributes
    ----------
    began
        How the first map was made.
    first_in, first
        Job folder of the stage that made it, and its result.
    classes
        Those that were refined.
    left_out
        Numbers of those that were too small.
    """

    began: FirstMap
    first_in: Path
    first: FirstResult
    classes: list[RefinedClass]
    left_out: list[int]
