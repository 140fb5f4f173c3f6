"""A stage of a job: a job of another recipe, in a folder within, which can be looked at and resumed by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic

from cryorbit.core.progress import Progress, Stopped
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import Kind, StageRecord
from cryorbit.io.job_run import running
from cryorbit.recipes.settings import Settings


@dataclass(frozen=True, slots=True)
class Stage(Generic[Kind]):
    """What is to be done in one stage.

    Attributes
    ----------
    title
        For people.
    verb
        The command that makes such a job.
    folder
        Its job folder.
    config
        Settings of its recipe.
    run, kind
        Its recipe, and the dataclass of its result.
    inputs
        Files that it reads.
    """

    title: str
    verb: str
    folder: Path
    config: Settings
    run: Callable[[Any, JobFolder, Progress], Kind]
    kind: type[Kind]
    inputs: tuple[Path, ...]

    @property
    def record(self) -> StageRecord:
        """What the job that it is a stage of says of it."""
        return StageRecord(self.title, self.verb, self.folder.name)


def work_on(stage: Stage[Kind], progress: Progress, whole: JobFolder | None = None) -> Kind:
    """Do what is left of a stage, all processes of the whole job together; returns its result.

    Raises
    ------
    InputError
        The stage cannot use its input, or its record is damaged.
    Stopped
        The job was asked to stop before or within the stage; what is done is kept.
    """
    job = _open_or_create(stage)
    if whole is not None:
        origin = None if whole.origin is None else whole.origin / stage.folder.name
        job = replace(job, group=whole.group, origin=origin, finish_now=whole.finish_now)
    if job.read()["status"] != "finished":
        if job.group.any(flag=progress.stop_requested()):
            raise Stopped
        progress.note(f"{stage.title}, in {stage.folder.name}/")
        with running(job):
            stage.run(stage.config, job, progress)
    progress.stage_finished(job.path)
    return job.read_result(stage.kind)


def _open_or_create(stage: Stage[Kind]) -> JobFolder:
    if (stage.folder / "job.json").exists():
        return JobFolder.open(stage.folder)
    settings = stage.config.model_dump(mode="json")
    return JobFolder.create(stage.folder, verb=stage.verb, config=settings, inputs=stage.inputs)
