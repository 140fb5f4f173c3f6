"""The refinement job: its stages in order, a checkpoint after every iteration, and its results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from cryorbit.core.progress import Progress
from cryorbit.core.records import unpack
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.particles import Particles
from cryorbit.recipes.dataset import Dataset, read_chosen, read_dataset
from cryorbit.recipes.kept_transforms import keeping_transforms
from cryorbit.recipes.refine.config import RefineConfig
from cryorbit.recipes.refine.late import late_iteration, late_sums
from cryorbit.recipes.refine.outputs import RefineResult, summarise, write_outputs
from cryorbit.recipes.refine.passes import final_iteration, pass_iteration
from cryorbit.recipes.refine.radii import final_radius
from cryorbit.recipes.refine.start import begin
from cryorbit.recipes.refine.state import RefineState
from cryorbit.recipes.refine.stochastic import stochastic_iteration
from cryorbit.recipes.refine.verdict import Ending, judge
from cryorbit.recipes.stage_loop import Stages, go_through
from cryorbit.recipes.volume_memory import VolumeLoad, require_volumes

Iteration = Callable[[RefineConfig, Dataset, RefineState], tuple[RefineState, dict[str, Any]]]

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
    # code of one's own is looked at before images are read
    config.sgd.made()
    if config.late.method is not None:
        config.late.made()
    particles = read_chosen(config)
    require_memory(config, particles)
    dataset = read_dataset(config, particles, job.group).of_job(
        job, job.journal(progress, config.device, config.save_minutes)
    )
    for sentence in dataset.sentences:
        progress.note(sentence)
    with keeping_transforms(config, dataset, volume_load(config, particles)) as kept:
        state = _refined(config, kept, job, progress)
    classes = write_outputs(config, dataset, state, job)
    verdict = judge(Ending(config, dataset, state, classes, job.read_metrics()))
    result = summarise(dataset, state, classes, verdict)
    job.write_result(result)
    for each in classes:
        if each.limits:
            progress.note(" ".join([*([] if each.name == "map" else [f"{each.name.capitalize()}:"]), *each.limits]))
    return result


def _refined(config: RefineConfig, dataset: Dataset, job: JobFolder, progress: Progress) -> RefineState:
    """The state after all stages, or after what is left of them."""
    stages: Stages[RefineState] = Stages(
        iterations={name: partial(iteration, config, dataset) for name, iteration in ITERATIONS.items()},
        describe=lambda state: DESCRIPTIONS[state.stage],
        planned=lambda state: _planned(config, state.stage),
        restore=lambda packed: unpack(RefineState, packed, dataset.source.device),
        shortcut=_shortcut,
        group=dataset.source.group,
        watch=dataset.source.watch,
    )
    return go_through(stages, lambda: _first(config, dataset, progress), job, progress)


def require_memory(config: RefineConfig, particles: Particles) -> None:
    """Raise ``InputError`` unless the volumes of the refinement fit into the memory."""
    require_volumes(config, volume_load(config, particles), particles.pixel_size)


def volume_load(config: RefineConfig, particles: Particles) -> VolumeLoad:
    """The volumes of the refinement in its last pass."""
    radius = final_radius(config, particles.box, particles.pixel_size)
    sums = 1 if config.late.method is None else late_sums(config.late)
    return VolumeLoad(
        box=particles.box,
        radius=radius,
        maps=len(config.maps),
        searched=True,
        symmetric=config.symmetry.upper() != "C1",
        sums=sums,
        # of one half-set at a time
        cells=config.poses.cells * len(config.maps) * len(particles) // 2,
    )


def _first(config: RefineConfig, dataset: Dataset, progress: Progress) -> RefineState:
    """The state of the start maps."""
    progress.note("Checking the starting map.")
    state = begin(config, dataset)
    for sentence in state.start_notes:
        progress.note(sentence)
    return state


def _shortcut(state: RefineState) -> RefineState:
    """The last pass, under the references as they are."""
    return replace(state, stage="final", iteration=0, walk=None, fallback=None)


def _planned(config: RefineConfig, stage: str) -> int | None:
    """Iterations of a stage; None where they end when they bring nothing more."""
    planned = {"sgd": None, "pass": None, "late": config.late.epochs}
    return planned.get(stage, 1)
