"""The refinement job: its stages in order, a checkpoint after every iteration, and its results."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from cryorbit.core.progress import Progress, Stopped
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.particles import Particles
from cryorbit.recipes.method_settings import method_of
from cryorbit.recipes.particle_input import ParticleInput, read_chosen, read_input
from cryorbit.recipes.refine.config import RefineConfig
from cryorbit.recipes.refine.late import LATE_SUMS, late_iteration
from cryorbit.recipes.refine.outputs import RefineResult, write_outputs
from cryorbit.recipes.refine.passes import final_iteration, pass_iteration
from cryorbit.recipes.refine.radii import final_radius
from cryorbit.recipes.refine.start import begin
from cryorbit.recipes.refine.state import State, from_checkpoint, to_checkpoint
from cryorbit.recipes.refine.stochastic import stochastic_iteration
from cryorbit.recipes.refine.verdict import Ending, judge
from cryorbit.recipes.volume_memory import VolumeLoad, require_volumes

LOGGER = logging.getLogger(__name__)

Iteration = Callable[[RefineConfig, ParticleInput, State], tuple[State, dict[str, Any]]]

ITERATIONS: dict[str, Iteration] = {
    "sgd": stochastic_iteration,
    "pass": pass_iteration,
    "late": late_iteration,
    "final": final_iteration,
}
DESCRIPTIONS = {
    "sgd": "mini-batches",
    "pass": "passes over all particles",
    "late": "mini-batches of reduced variance",
    "final": "last pass",
}


def run(config: RefineConfig, job: JobFolder, progress: Progress) -> RefineResult:
    """Refine; continues from the job's checkpoint if it has one.

    Raises
    ------
    InputError
        The particles or the start maps cannot be used, or the volumes do not fit into the memory.
    Stopped
        The job was asked to stop; its checkpoint holds everything done so far.
    """
    # a mistake is told before images are read
    method_of(config.sgd)
    particles = read_chosen(config)
    require_memory(config, particles)
    given = read_input(config, particles)
    for sentence in given.sentences:
        progress.note(sentence)
    state = _restore(config, given, job, progress)
    announced = None
    while state.stage != "done":
        if state.stage != announced:
            announced = state.stage
            progress.start(_planned(config, state.stage), DESCRIPTIONS[state.stage])
        began, cpu_began = time.monotonic(), time.process_time()
        stage, iteration = state.stage, state.iteration
        state, metrics = ITERATIONS[stage](config, given, state)
        spent = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - cpu_began}
        job.write_metrics({"iteration": iteration, "stage": stage, **metrics, **spent})
        job.save_checkpoint({"state": to_checkpoint(state), "metrics": job.metrics_count()})
        progress.advance(**{name: value for name, value in metrics.items() if isinstance(value, int | float)})
        if progress.stop_requested() and state.stage != "done":
            raise Stopped
    result = write_outputs(config, given, state, job)
    verdict = judge(Ending(config, given, state, result.classes, job.read_metrics()))
    job.record(result={"verdict": asdict(verdict)})
    for sentence in result.notes:
        progress.note(sentence)
    return result


def require_memory(config: RefineConfig, particles: Particles) -> None:
    """Raise ``InputError`` unless the volumes of the refinement fit into the memory."""
    radius = final_radius(config, particles.box, particles.pixel_size)
    sums = 1 if config.late.method == "none" else LATE_SUMS
    load = VolumeLoad(
        box=particles.box,
        radius=radius,
        maps=len(config.maps),
        searched=True,
        symmetric=config.symmetry.upper() != "C1",
        sums=sums,
        # of one half-set at a time
        cells=config.poses.cells * len(config.maps) * len(particles) // 2,
    )
    require_volumes(config, load, particles.pixel_size)


def _restore(config: RefineConfig, given: ParticleInput, job: JobFolder, progress: Progress) -> State:
    """The state of the checkpoint, or that of the start maps."""
    checkpoint = job.load_checkpoint()
    if checkpoint is None:
        job.truncate_metrics(0)
        progress.note("Looking at the start map.")
        state = begin(config, given)
        for sentence in state.extra["start_notes"]:
            progress.note(sentence)
        return state
    job.truncate_metrics(checkpoint["metrics"])
    state = from_checkpoint(checkpoint["state"], given.source.device)
    LOGGER.info("Continuing at stage %s, iteration %d.", state.stage, state.iteration)
    return state


def _planned(config: RefineConfig, stage: str) -> int | None:
    """Iterations of a stage; None where they end when they bring nothing more."""
    planned = {"sgd": None, "pass": None, "late": config.late.epochs}
    return planned.get(stage, 1)
