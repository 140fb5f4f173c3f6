"""The ab initio job: its stages in order, a checkpoint after every iteration, and its results."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from cryorbit.core.progress import Progress
from cryorbit.core.records import unpack
from cryorbit.io.job_folder import JobFolder
from cryorbit.recipes.abinit.class_stages import sort_iteration, split
from cryorbit.recipes.abinit.config import AbinitConfig
from cryorbit.recipes.abinit.dealt_starts import dealt_starts, is_dealt
from cryorbit.recipes.abinit.finish_stage import finish_iteration, judge, shortcut
from cryorbit.recipes.abinit.outputs import AbinitResult, write_outputs
from cryorbit.recipes.abinit.passes import grow_iteration
from cryorbit.recipes.abinit.prepare import AbinitDataset, prepare, volume_loads
from cryorbit.recipes.abinit.search_stage import begin, search_iteration
from cryorbit.recipes.abinit.state import AbinitState
from cryorbit.recipes.abinit.symmetry_stage import symmetrise
from cryorbit.recipes.kept_transforms import keeping_transforms
from cryorbit.recipes.stage_loop import Stages, go_through

Iteration = Callable[[AbinitConfig, AbinitDataset, AbinitState], tuple[AbinitState, dict[str, Any]]]

ITERATIONS: dict[str, Iteration] = {
    "search": search_iteration,
    "grow": grow_iteration,
    "split": split,
    "sort": sort_iteration,
    "judge": judge,
    "symmetrise": symmetrise,
    "finish": finish_iteration,
}


def run(config: AbinitConfig, job: JobFolder, progress: Progress) -> AbinitResult:
    """Reconstruct; continues from the job's checkpoint if it has one.

    Raises
    ------
    InputError
        The particles cannot be used.
    Stopped
        The job was asked to stop; its checkpoint holds everything done so far.
    """
    # a mistake is told before images are read
    config.search.made()
    dataset = prepare(config, job.group).of_job(job, job.journal(progress, config.device, config.save_minutes))
    for sentence in dataset.sentences:
        progress.note(sentence)
    with keeping_transforms(config, dataset, *volume_loads(config, dataset.particles)) as kept:
        state = _reconstructed(config, kept, job, progress)
        return write_outputs(config, kept, state, job)


def _reconstructed(config: AbinitConfig, dataset: AbinitDataset, job: JobFolder, progress: Progress) -> AbinitState:
    """The state after all stages, or after what is left of them."""
    stages = partial(_stages, config)

    def first() -> AbinitState:
        if is_dealt(config, job):
            return dealt_starts(config, dataset, stages, job, progress)
        return begin(config, dataset, 0, ())

    state = go_through(stages(dataset), first, job, progress)
    job.remove_parts()
    return state


def _stages(config: AbinitConfig, dataset: AbinitDataset) -> Stages[AbinitState]:
    return Stages(
        iterations={name: partial(iteration, config, dataset) for name, iteration in ITERATIONS.items()},
        describe=lambda state: _description(config, state),
        planned=lambda state: _planned(config, state.stage),
        restore=lambda packed: unpack(AbinitState, packed, dataset.source.device),
        labels=lambda state: {"seed": config.seed + state.start},
        remarks=_remarks,
        shortcut=partial(shortcut, config, dataset),
        group=dataset.source.group,
        watch=dataset.source.watch,
    )


def _remarks(stage: str, state: AbinitState) -> list[str]:
    """What came of the symmetry that was asked for, once it has been tried."""
    trial = state.trial if stage == "symmetrise" else None
    return [] if trial is None else trial.sentences()


def _planned(config: AbinitConfig, stage: str) -> int | None:
    """Most iterations of a stage; None where they end when they bring nothing more."""
    planned = {
        "search": round(config.search.longest * config.search.iterations),
        "grow": None,
        "sort": config.classify.iterations,
    }
    return planned.get(stage, 1)


def _description(config: AbinitConfig, state: AbinitState) -> str:
    names = {
        "search": "random start to first map",
        "grow": "resolution growth",
        "split": "splitting classes",
        "sort": "sorting classes",
        "judge": "held-out particles",
        "symmetrise": "symmetry axes",
        "finish": "all particles",
    }
    name = names[state.stage]
    return name if config.seeds == 1 or state.stage == "finish" else f"start {state.start + 1}/{config.seeds}: {name}"
