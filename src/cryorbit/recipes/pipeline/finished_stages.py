"""What the stages hand on to the verdict and the files of the whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryorbit.recipes.abinit import AbinitResult
from cryorbit.recipes.map_files import MapFiles
from cryorbit.recipes.postprocess import PostprocessResult
from cryorbit.recipes.refine import RefineResult


@dataclass(frozen=True, slots=True)
class RefinedClass:
    """One class that went the whole way.

    Attributes
    ----------
    number
        Of the ab initio stage, from 1.
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
    first_in, first
        Job folder of ab initio, and its result.
    classes
        Those that were refined.
    left_out
        Numbers of those that were too small.
    """

    first_in: Path
    first: AbinitResult
    classes: list[RefinedClass]
    left_out: list[int]
