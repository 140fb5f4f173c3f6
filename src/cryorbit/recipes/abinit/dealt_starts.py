"""Random starts dealt out to the processes of a job: each start is the work of one, in a folder of its own.

A mini-batch is too small to be shared, and a start needs nothing of the others. What they come to is what one process
comes to that makes them one after the other: the same state, the same metrics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from cryorbit.core.errors import InputError
from cryorbit.core.progress import Progress, Stopped
from cryorbit.execution.group import SINGLE_PROCESS
from cryorbit.io.job_folder import JobFolder
from cryorbit.recipes.abinit.config import AbinitConfig
from cryorbit.recipes.abinit.finish_stage import after_start, closed, judged_now
from cryorbit.recipes.abinit.prepare import AbinitDataset
from cryorbit.recipes.abinit.search_stage import begin
from cryorbit.recipes.abinit.state import AbinitState
from cryorbit.recipes.stage_loop import OVER, Stages, go_through


def is_dealt(config: AbinitConfig, job: JobFolder) -> bool:
    """Whether the starts of a job are the work of single processes, or were before it was stopped."""
    return config.seeds > 1 and (job.group.size > 1 or job.part_of(0).path.exists())


def dealt_starts(
    config: AbinitConfig,
    dataset: AbinitDataset,
    stages: Callable[[AbinitDataset], Stages[AbinitState]],
    job: JobFolder,
    progress: Progress,
) -> AbinitState:
    """The state after all starts, of which this process makes its share, and their metrics in order.

    Parameters
    ----------
    config, dataset, job, progress
        The job.
    stages
        How a job on a dataset is gone through.

    Raises
    ------
    InputError
        It is to finish now, and no start has begun.
    Stopped
        A process was asked to stop; what the starts have come to is kept.
    """
    group, stopped, starts = job.group, False, list(range(config.seeds))
    if job.finish_now:
        # all of them are there to see before one is begun
        starts = group.broadcast([start for start in starts if job.part_of(start).load_checkpoint() is not None])
        if not starts:
            raise InputError("no start has begun", fix="resume without --finish-now")
    for start in starts[group.rank :: group.size]:
        try:
            _make(config, dataset, stages, start, job.part_of(start), progress)
        except Stopped:
            stopped = True
            break
    if group.any(flag=stopped):
        raise Stopped
    parts = [job.part_of(start) for start in starts]
    for part in parts:
        for line in part.read_metrics():
            job.write_metrics(line)
    restore = stages(dataset).restore
    states = [restore(checkpoint["state"]) for part in parts if (checkpoint := part.load_checkpoint()) is not None]
    outcomes = tuple(outcome for state in states for outcome in state.outcomes)
    return closed(config.model_copy(update={"seeds": len(outcomes)}), dataset, states[-1], outcomes)


def _make(
    config: AbinitConfig,
    dataset: AbinitDataset,
    stages: Callable[[AbinitDataset], Stages[AbinitState]],
    start: int,
    part: JobFolder,
    progress: Progress,
) -> None:
    """Make one start, or what is left of it."""
    part.begin_part()
    watch = part.journal(progress, config.device, config.save_minutes)
    mine = replace(dataset, source=replace(dataset.source, group=SINGLE_PROCESS, watch=watch))
    everything = stages(mine)
    iterations = dict(everything.iterations)
    iterations["judge"] = partial(_close, config, mine)
    alone = replace(everything, iterations=iterations, shortcut=partial(judged_now, config))
    go_through(alone, lambda: begin(config, mine, start, ()), part, progress)


def _close(config: AbinitConfig, dataset: AbinitDataset, state: AbinitState) -> tuple[AbinitState, dict[str, Any]]:
    """The end of a start that is made alone."""
    outcome, metrics = after_start(config, dataset, state)
    return replace(state, stage=OVER, outcomes=(outcome,)), metrics
