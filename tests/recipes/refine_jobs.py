"""Refinement jobs on small simulated sets, and their start maps."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from abinit_jobs import PIXEL_SIZE

from cryorbit.core.progress import Progress, SilentProgress
from cryorbit.evaluation.radial_filter import apply_gain, low_pass
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_run import running
from cryorbit.io.mrc import read_map, write_map
from cryorbit.recipes.refine import RefineConfig, run
from cryorbit.recipes.refine.outputs import RefineResult

DIAMETER = 100.0
ONE_PASS: dict[str, Any] = {"passes": {"iterations": 1}, "poses": {"cells": 4, "angular_spacing": 30.0}}
"""A pass over all particles and the last one: poses are found, the resolution is not pressed."""


def refine_config(particles: Path, maps: Path | Sequence[Path], output: Path, **changes: Any) -> RefineConfig:
    """Settings of a refinement of one start map or several."""
    starts = (maps,) if isinstance(maps, Path) else tuple(maps)
    return RefineConfig(particles=particles, maps=starts, output=output, **{"diameter": DIAMETER, **changes})


def refined(
    particles: Path, maps: Path | Sequence[Path], output: Path, progress: Progress | None = None, **changes: Any
) -> tuple[JobFolder, RefineResult]:
    """A refinement, or what is left of the one at ``output``."""
    config = refine_config(particles, maps, output, **changes)
    if (output / "job.json").exists():
        job = JobFolder.open(output)
    else:
        job = JobFolder.create(output, verb="refine", config=config.model_dump(mode="json"), inputs=[particles])
    with running(job):
        result = run(config, job, progress or SilentProgress())
    return job, result


def low_passed_map(source: Path, target: Path, resolution: float = 30.0) -> Path:
    """A map without the detail that a refinement should find by itself."""
    volume, _ = read_map(source)
    write_map(target, apply_gain(volume, low_pass(len(volume), PIXEL_SIZE, resolution)), PIXEL_SIZE)
    return target
