"""Small simulated sets and quick ab initio jobs on them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from cryorbit.core.progress import Progress, SilentProgress
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_run import running
from cryorbit.io.mrc import write_map
from cryorbit.recipes import simulate
from cryorbit.recipes.abinit import AbinitConfig, AbinitResult, run
from cryorbit.simulate.microscope import Microscope

PIXEL_SIZE = 5.0
QUICK: dict[str, Any] = {
    "search": {"iterations": 40, "batch_first": 60, "batch_last": 100},
    "grow": {"iterations": 4},
}
SHORTEST: dict[str, Any] = {
    "search": {"iterations": 3, "batch_first": 20, "batch_last": 30, "angular_spacing": 30.0},
    "grow": {"iterations": 2, "cells": 2},
    "classify": {"iterations": 2, "principal_iterations": 2, "splits": 1},
    "max_resolution": 20.0,
}
"""Settings with which every stage is passed through, and no map is to be expected."""


class StopsAfter(SilentProgress):
    """Asks for a stop after so many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def advance(self, **_: float) -> None:
        """Count."""
        self.left -= 1

    def stop_requested(self) -> bool:
        """Whether all steps are done."""
        return self.left <= 0


def make_set(folder: Path, volumes: Sequence[torch.Tensor], count: int, snr: float, **changes: Any) -> Path:
    """Simulate particles of maps in ``folder``; the file without poses."""
    paths = tuple(folder / f"map_{number}.mrc" for number in range(len(volumes)))
    for path, volume in zip(paths, volumes, strict=True):
        write_map(path, volume, PIXEL_SIZE)
    microscope = Microscope(particles_per_micrograph=20)
    settings = {"shift_sigma": 1.0, "microscope": microscope, "count": count, "snr": snr, **changes}
    return simulate.run(simulate.SimulateConfig(maps=paths, output=folder, **settings)).particles


def run_job(
    particles: Path, output: Path, progress: Progress | None = None, **changes: Any
) -> tuple[JobFolder, AbinitResult]:
    """A quick job on ``particles``, or what is left of the one at ``output``."""
    config = AbinitConfig(particles=particles, output=output, **{**QUICK, **changes})
    if (output / "job.json").exists():
        job = JobFolder.open(output)
    else:
        job = JobFolder.create(output, verb="abinit", config=config.model_dump(mode="json"), inputs=[particles])
    with running(job):
        result = run(config, job, progress or SilentProgress())
    return job, result
