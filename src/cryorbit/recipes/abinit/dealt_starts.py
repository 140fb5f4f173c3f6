"""Random starts dealt out to the processes of a job: a mini-batch is too small to be shared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from cryorbit.core.errors import InputError
from cryorbit.core.progress import Progress
from cryorbit.io.job_folder import JobFolder
from cryorbit.recipes.abinit.config import AbinitConfig
from cryorbit.recipes.abinit.finish_stage import after_start, closed, judged_now
from cryorbit.recipes.abinit.prepare import AbinitDataset
from cryorbit.recipes.abinit.search_stage import begin
from cryorbit.recipes.abinit.state import AbinitState
from cryorbit.recipes.dealt_parts import DealtParts
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

    def make(start: int, mine: AbinitDataset, part: JobFolder) -> None:
        """Make one start, or what is left of it."""
        everything = stages(mine)
        iterations = dict(everything.iterations)
        iterations["judge"] = partial(_close, config, mine)
        alone = replace(everything, iterations=iterations, shortcut=partial(judged_now, config))
        go_through(alone, lambda: begin(config, mine, start, ()), part, progress)

    parts = DealtParts(config, dataset, job, progress, config.seeds)
    if not parts.numbers:
        raise InputError("no start has begun", fix="resume without --finish-now")
    made, restore = parts.made(make), stages(dataset).restore
    states = [restore(checkpoint["state"]) for _, part in made if (checkpoint := part.load_checkpoint()) is not None]
    outcomes = tuple(outcome for state in states for outcome in state.outcomes)
    return closed(config.model_copy(update={"seeds": len(outcomes)}), dataset, states[-1], outcomes)


def _close(config: AbinitConfig, dataset: AbinitDataset, state: AbinitState) -> tuple[AbinitState, dict[str, Any]]:
    """The end of a start that is made alone."""
    outcome, metrics = after_start(config, dataset, state)
    return replace(state, stage=OVER, outcomes=(outcome,)), metrics
