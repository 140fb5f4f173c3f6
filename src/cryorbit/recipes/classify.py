"""Classification: which of several given maps each particle shows, maps and poses refined along.

It is a refinement of several maps with other defaults: the finest resolution is limited, and passes end when particles
stop changing class.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from cryorbit.core.bounds import COARSEST_A
from cryorbit.core.progress import Progress
from cryorbit.io.job_folder import JobFolder
from cryorbit.recipes import refine
from cryorbit.recipes.refine.config import PassSettings, RefineConfig
from cryorbit.recipes.refine.outputs import RefineResult


class ClassPassSettings(PassSettings):
    """Passes over all particles, which end when the classes have settled."""

    class_changes: float | None = Field(
        0.01, ge=0, le=1, description="Fraction of the particles that may still change class in the last pass."
    )


class ClassifyConfig(RefineConfig):
    """Settings of a classification."""

    maps: tuple[Path, ...] = Field(min_length=2, description="Starting maps of the classes (MRC); they must differ.")
    method: Literal["em", "psgd"] = Field(
        "em",
        description="Algorithm: passes over all particles (em), or mini-batches first (psgd), which is faster for "
        "large sets.",
    )
    initial_resolution: float = Field(20.0, gt=0, le=COARSEST_A, description="Low-pass filter of the starting maps, Å.")
    max_resolution: float | None = Field(
        12.0, gt=0, le=COARSEST_A, description="Finest resolution at which poses are scored, Å."
    )
    passes: ClassPassSettings = ClassPassSettings()


def run(config: ClassifyConfig, job: JobFolder, progress: Progress) -> RefineResult:
    """Classify; continues from the job's checkpoint if it has one.

    Raises
    ------
    InputError
        The particles or the start maps cannot be used, or two maps are the same.
    Stopped
        The job was asked to stop; its checkpoint holds everything done so far.
    """
    return refine.run(config, job, progress)
