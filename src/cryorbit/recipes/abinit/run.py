"""The ab initio job: its stages in order, a checkpoint after every iteration, and its results."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from cryorbit.core.progress import Progress, Stopped
from cryorbit.io.job_folder import JobFolder
from cryorbit.recipes.abinit.class_stages import sort_iteration, split
from cryorbit.recipes.abinit.config import AbinitConfig
from cryorbit.recipes.abinit.finish_stage import finish_iteration, judge
from cryorbit.recipes.abinit.outputs import AbinitResult, write_outputs
from cryorbit.recipes.abinit.passes import grow_iteration
from cryorbit.recipes.abinit.prepare import Prepared, prepare
from cryorbit.recipes.abinit.search_stage import begin, search_iteration
from cryorbit.recipes.abinit.state import State, from_checkpoint, to_checkpoint
from cryorbit.recipes.abinit.symmetry_stage import symmetrise, trial_of
from cryorbit.recipes.method_settings import method_of

LOGGER = logging.getLogger(__name__)

Iteration = Callable[[AbinitConfig, Prepared, State], tuple[State, dict[str, Any]]]

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
    method_of(config.search)
    prepared = prepare(config)
    for sentence in prepared.sentences:
        progress.note(sentence)
    state = _restore(config, prepared, job)
    announced = None
    while state.stage != "done":
        if (state.start, state.stage) != announced:
            announced = (state.start, state.stage)
            progress.start(_planned(config, state.stage), _description(config, state))
        began = time.monotonic()
        stage, iteration, start = state.stage, state.iteration, state.start
        state, metrics = ITERATIONS[stage](config, prepared, state)
        trial = trial_of(state) if stage == "symmetrise" else None
        for sentence in trial.sentences() if trial else []:
            progress.note(sentence)
        entry = {"iteration": iteration, "stage": stage, "seed": config.seed + start, **metrics}
        job.write_metrics({**entry, "seconds": time.monotonic() - began})
        job.save_checkpoint({"state": to_checkpoint(state), "metrics": job.metrics_count()})
        progress.advance(**{name: value for name, value in metrics.items() if isinstance(value, int | float)})
        if progress.stop_requested() and state.stage != "done":
            raise Stopped
    return write_outputs(config, prepared, state, job)


def _restore(config: AbinitConfig, prepared: Prepared, job: JobFolder) -> State:
    """The state of the checkpoint, or that of a first random start."""
    checkpoint = job.load_checkpoint()
    if checkpoint is None:
        job.truncate_metrics(0)
        return begin(config, prepared, 0, ())
    job.truncate_metrics(checkpoint["metrics"])
    state = from_checkpoint(checkpoint["state"], prepared.source.device)
    LOGGER.info("Continuing at stage %s, iteration %d.", state.stage, state.iteration)
    return state


def _planned(config: AbinitConfig, stage: str) -> int | None:
    """Most iterations of a stage; None where they end when they bring nothing more."""
    planned = {
        "search": round(config.search.longest * config.search.iterations),
        "grow": None,
        "sort": config.classify.iterations,
    }
    return planned.get(stage, 1)


def _description(config: AbinitConfig, state: State) -> str:
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
