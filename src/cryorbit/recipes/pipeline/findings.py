"""What the stages hand on to the verdict and the files of the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryorbit.recipes.map_files import MapFiles


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
        The results in their ``job.json``.
    """

    number: int
    name: str
    files: MapFiles
    refined_in: Path
    sharpened_in: Path
    refined: Mapping[str, Any]
    sharpened: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Findings:
    """All stages.

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
    first: Mapping[str, Any]
    classes: list[RefinedClass]
    left_out: list[int]
