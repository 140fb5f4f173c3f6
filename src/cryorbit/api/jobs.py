"""The one way to start a job, from Python or from the command line: settings, folder, work, report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryorbit.api.devices import choose_device, limit_threads
from cryorbit.api.recipe_table import Recipe, find_recipe
from cryorbit.core.progress import Progress

if TYPE_CHECKING:
    from pydantic import BaseModel

    from cryorbit.io.job_folder import JobFolder


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """A recipe and settings that fit it, nothing done yet."""

    recipe: Recipe
    config: Any

    def make_folder(self) -> JobFolder:
        """Make the job folder and write down what the job is; ``InputError`` if it holds a job or inputs are gone."""
        from cryorbit.io.job_folder import JobFolder

        settings, inputs = self.config.model_dump(mode="json"), self.recipe.input_files(self.config)
        return JobFolder.create(self.config.output, verb=self.recipe.verb, config=settings, inputs=inputs)


def plan_job(verb: str, given: Mapping[str, Any], file: Path | None = None) -> PlannedJob:
    """Check the settings of a job.

    Parameters
    ----------
    verb
        Which recipe.
    given
        Its settings by name, those of a group as a mapping or a config; None for what was not given.
    file
        TOML file of settings, over which those given win.

    Raises
    ------
    InputError
        A setting is unknown or does not fit, the file cannot be read, or there is no such device.
    """
    from cryorbit.recipes.config import load_config

    recipe = find_recipe(verb)
    return PlannedJob(recipe, settle(load_config(recipe.config, file, given)))


def reopen_job(folder: Path, given: Mapping[str, Any]) -> tuple[PlannedJob, JobFolder]:
    """A job that was stopped or killed, to go on with its own settings but for those given.

    Raises
    ------
    InputError
        There is no job, it is finished, or an input of it has changed.
    """
    from cryorbit.core.errors import InputError
    from cryorbit.io.job_folder import JobFolder
    from cryorbit.io.job_run import check_inputs

    job = JobFolder.open(folder)
    record = job.read()
    if record["status"] == "finished":
        raise InputError("this job is finished", file=folder, mend=f"open {folder / 'report.html'}")
    # an unknown verb is to be told before a changed input
    find_recipe(record["verb"])
    check_inputs(job)
    changes = {name: value for name, value in given.items() if value is not None}
    return plan_job(record["verb"], {**record["config"], "output": folder, **changes}), job


def work(planned: PlannedJob, job: JobFolder, progress: Progress) -> None:
    """Do the work of a job, or what is left of it, and keep its report; errors as the recipe raises them."""
    from cryorbit.io.job_run import running
    from cryorbit.report.live import LiveReport

    limit_threads(getattr(planned.config, "threads", None))
    with LiveReport(progress, job.path) as live, running(job):
        planned.recipe.run(planned.config, job, live)


def settle(config: BaseModel) -> Any:
    """The same settings with absolute paths and, where a device is a setting, the one that will be used."""
    changes = {name: _absolute(value) for name, value in config}
    if "device" in changes:
        changes["device"] = choose_device(changes["device"] if "device" in config.model_fields_set else None)
    return config.model_copy(update=changes)


def _absolute(value: Any) -> Any:
    if isinstance(value, Path):
        return value.absolute()
    if isinstance(value, tuple):
        return tuple(_absolute(each) for each in value)
    return value
