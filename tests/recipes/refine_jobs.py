"""Refinement jobs on small simulated sets."""

from pathlib import Path
from typing import Any

from cryorbit.core.progress import Progress, SilentProgress
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_run import running
from cryorbit.recipes.refine import RefineConfig, run
from cryorbit.recipes.refine.outputs import RefineResult

DIAMETER = 100.0


def refined(
    particles: Path, start_map: Path, output: Path, progress: Progress | None = None, **changes: Any
) -> tuple[JobFolder, RefineResult]:
    """A refinement of ``start_map``, or what is left of the one at ``output``."""
    settings = {"diameter": DIAMETER, **changes}
    config = RefineConfig(particles=particles, maps=(start_map,), output=output, **settings)
    if (output / "job.json").exists():
        job = JobFolder.open(output)
    else:
        job = JobFolder.create(output, verb="refine", config=config.model_dump(mode="json"), inputs=[particles])
    with running(job):
        result = run(config, job, progress or SilentProgress())
    return job, result
