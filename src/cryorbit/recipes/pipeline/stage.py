"""A stage of a job: a job of another recipe, in a folder within, which can be looked at and resumed by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryorbit.core.progress import Progress, Stopped
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_run import running
from cryorbit.recipes.settings import Settings


@dataclass(frozen=True, slots=True)
class Stage:
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
    run
        Its recipe.
    inputs
        Files that it reads.
    """

    title: str
    verb: str
    folder: Path
    config: Settings
    run: Callable[[Any, JobFolder, Progress], object]
    inputs: tuple[Path, ...]

    def as_record(self) -> dict[str, str]:
        """What ``job.json`` of the whole says of it."""
        return {"title": self.title, "verb": self.verb, "folder": self.folder.name}


def work_on(stage: Stage, progress: Progress) -> Mapping[str, Any]:
    """Do what is left of a stage; returns the result in its ``job.json``.

    Raises
    ------
    InputError
        The stage cannot use its input.
    Stopped
        The job was asked to stop before or within the stage; what is done is kept.
    """
    job = _open_or_create(stage)
    if job.read()["status"] != "finished":
        if progress.stop_requested():
            raise Stopped
        progress.note(f"{stage.title}, in {stage.folder.name}/")
        with running(job):
            stage.run(stage.config, job, progress)
    progress.stage_finished(job.path)
    result: Mapping[str, Any] = job.read()["result"]
    return result


def _open_or_create(stage: Stage) -> JobFolder:
    if (stage.folder / "job.json").exists():
        return JobFolder.open(stage.folder)
    settings = stage.config.model_dump(mode="json")
    return JobFolder.create(stage.folder, verb=stage.verb, config=settings, inputs=stage.inputs)
