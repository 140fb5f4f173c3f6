"""The one loop of a job in stages: a step, its line of metrics, a checkpoint, and a look whether to stop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from cryorbit.core.progress import Progress, Stopped
from cryorbit.core.records import pack
from cryorbit.execution.group import SINGLE_PROCESS, Group
from cryorbit.execution.watch import UNWATCHED, Watch
from cryorbit.io.job_folder import JobFolder

LOGGER = logging.getLogger(__name__)
OVER = "done"
"""The stage after the last one."""


class Staged(Protocol):
    """The state of a job: which stage comes next, and which iteration of it."""

    @property
    def stage(self) -> str:
        """Stage that comes next."""
        ...

    @property
    def iteration(self) -> int:
        """Its iteration that comes next."""
        ...


State = TypeVar("State", bound=Staged)


def _unlabelled(state: Any) -> dict[str, Any]:
    del state
    return {}


def _none(state: State) -> State:
    return state


def _nothing(stage: str, state: Any) -> Iterable[str]:
    del stage, state
    return ()


@dataclass(frozen=True, slots=True)
class Stages(Generic[State]):
    """How a job is gone through.

    Attributes
    ----------
    iterations
        Of each stage, one iteration: the next state, and what it measured.
    describe
        What the stage of a state is called; told when it changes.
    planned
        Iterations of the stage of a state at most; None where they end when they bring nothing more.
    restore
        The state again from what ``core.records.pack`` made of it.
    labels
        What the line of metrics says of a state besides stage and iteration.
    remarks
        What is to be told after an iteration of a stage.
    checkpoint_seconds
        Least time between checkpoints, for iterations that take less than a checkpoint does.
    group
        The processes that share the job.
    watch
        Keeps what an iteration has done before it is over.
    shortcut
        The state from which maps are made at once from what another one holds.
    """

    iterations: Mapping[str, Callable[[State], tuple[State, dict[str, Any]]]]
    describe: Callable[[State], str]
    planned: Callable[[State], int | None]
    restore: Callable[[Mapping[str, Any]], State]
    labels: Callable[[State], dict[str, Any]] = _unlabelled
    remarks: Callable[[str, State], Iterable[str]] = _nothing
    checkpoint_seconds: float = 0.0
    group: Group = SINGLE_PROCESS
    watch: Watch = UNWATCHED
    shortcut: Callable[[State], State] = _none


def go_through(stages: Stages[State], first: Callable[[], State], job: JobFolder, progress: Progress) -> State:
    """The state after the last stage, from that of the job's checkpoint or from the ``first`` one.

    Raises
    ------
    Stopped
        The job was asked to stop; its checkpoint holds everything done so far.
    """
    state = _begin(stages, first, job)
    if job.finish_now and state.stage != OVER:
        state = stages.shortcut(state)
    announced, saved = None, time.monotonic()
    while state.stage != OVER:
        description = stages.describe(state)
        if description != announced:
            announced = description
            progress.start(stages.planned(state), description)
        began, cpu_began = time.monotonic(), time.process_time()
        entry = {"iteration": state.iteration, "stage": state.stage, **stages.labels(state)}
        stages.watch.begin(" ".join(map(str, entry.values())))
        try:
            state, metrics = stages.iterations[entry["stage"]](state)
        except Stopped:
            # what is kept of the iteration is nothing without the state that it begins with
            _save(state, job)
            raise
        for sentence in stages.remarks(entry["stage"], state):
            progress.note(sentence)
        spent = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - cpu_began}
        # before the checkpoint: a line that no checkpoint counts is cut off when the job goes on
        job.write_metrics({**entry, **metrics, **spent})
        progress.advance(**{name: value for name, value in metrics.items() if isinstance(value, int | float)})
        stops = stages.group.any(flag=progress.stop_requested())
        if stops or state.stage == OVER or time.monotonic() - saved >= stages.checkpoint_seconds:
            _save(state, job)
            saved = time.monotonic()
        if stops and state.stage != OVER:
            raise Stopped
    stages.watch.begin(None)
    return state


def _save(state: State, job: JobFolder) -> None:
    job.save_checkpoint({"state": pack(state), "metrics": job.metrics_count()})


def _begin(stages: Stages[State], first: Callable[[], State], job: JobFolder) -> State:
    checkpoint = stages.group.broadcast(job.load_checkpoint())
    if checkpoint is None:
        job.truncate_metrics(0)
        return first()
    job.truncate_metrics(checkpoint["metrics"])
    state = stages.restore(checkpoint["state"])
    LOGGER.info("Continuing at stage %s, iteration %d.", state.stage, state.iteration)
    return state
