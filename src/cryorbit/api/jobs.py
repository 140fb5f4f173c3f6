"""The one way to start a job, from Python or from the command line: settings, folder, work, report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryorbit.api.devices import choose_device, launch_on, limit_threads
from cryorbit.api.recipe_table import Recipe, find_recipe
from cryorbit.core.progress import Progress
from cryorbit.execution.group import SINGLE_PROCESS, Group, once

if TYPE_CHECKING:
    from pydantic import BaseModel

    from cryorbit.io.job_folder import JobFolder

REPORT = "report.html"
COMPLETE = ("reporting", "finished")
"""Statuses of a job whose results are complete; its report may not be."""


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """A recipe and settings that fit it, nothing done yet; no settings where only the report is left to be done."""

    recipe: Recipe
    config: Any

    def make_folder(self, group: Group = SINGLE_PROCESS) -> JobFolder:
        """Make the job folder and write down what the job is; ``InputError`` if it holds a job or inputs are gone.

        Of the processes of a group the first makes it.
        """
        from cryorbit.io.job_folder import JobFolder

        settings, inputs = self.config.model_dump(mode="json"), self.recipe.input_files(self.config)
        return once(
            group,
            lambda: JobFolder.create(self.config.output, verb=self.recipe.verb, config=settings, inputs=inputs),
        )


def plan_job(verb: str, settings: Mapping[str, Any], file: Path | None = None, *, trust: bool = False) -> PlannedJob:
    """Check the settings of a job.

    Parameters
    ----------
    verb
        Which recipe.
    settings
        By name, those of a group as a mapping or a config; None for what was not given. ``preset`` is the name of
        settings that come with the package, over which all others win.
    file
        TOML file of settings, over which ``settings`` win.
    trust
        Whether code that the file names, ``module:Class``, may be run; code that is given may be in any case.

    Raises
    ------
    InputError
        A setting is unknown or does not fit, the file cannot be read or names code, or there is no such preset or
        device.
    """
    from cryorbit.recipes.config import load_config
    from cryorbit.recipes.presets import read_preset

    recipe, name = find_recipe(verb), settings.get("preset")
    preset = {} if name is None else read_preset(verb, recipe.config, name)
    given = {key: value for key, value in settings.items() if key != "preset"}
    config = load_config(recipe.config, file, given, preset=preset)
    if not trust:
        refuse_code(config, file, "give it with --method, or add --trust, if you know what it does", settings)
    return PlannedJob(recipe, settle(config))


def reopen_job(folder: Path, settings: Mapping[str, Any], *, trust: bool = False) -> tuple[PlannedJob, JobFolder]:
    """A job that was stopped or killed, to go on with its own settings but for these.

    Of a job whose results are complete but for the report, only that is left to be done. Paths that are gone are looked
    for where they lay from the job's folder: a project can be moved as a whole.

    Raises
    ------
    InputError
        There is no job, it is finished, its record is damaged or names code that is not trusted, a setting is given
        that makes it another job, or a setting or an input of it has changed.
    """
    from cryorbit.core.errors import InputError
    from cryorbit.io.job_folder import JobFolder
    from cryorbit.io.job_record import MAY_DIFFER, RECORD
    from cryorbit.io.job_result import FIX
    from cryorbit.io.job_run import check_inputs, check_settings, moved_path, tidy
    from cryorbit.recipes.config import load_config

    job = JobFolder.open(folder)
    record = job.read()
    if record["status"] == "finished" and (folder / REPORT).is_file():
        tidy(job)
        raise InputError("this job is finished", file=folder, fix=f"open {folder / REPORT}")
    # an unknown verb is to be told before a changed input
    recipe = find_recipe(record["verb"], folder / RECORD)
    if record["status"] in COMPLETE:
        check_settings(job)
        return PlannedJob(recipe, None), job
    changes = {name: value for name, value in settings.items() if value is not None}
    other = next((name for name in changes if name not in MAY_DIFFER), None)
    if other is not None:
        fix = f"leave it out ({', '.join(MAY_DIFFER)} may differ), or start a new job with it"
        raise InputError(f"a resumed job keeps its own {other!r}", file=folder, fix=fix)
    if "data_dir" in changes and "data_dir" not in recipe.config.model_fields:
        raise InputError(f"a job of {recipe.verb!r} reads no images", file=folder, fix="leave --data-dir out")
    try:
        config = load_config(recipe.config, folder / RECORD, {"output": folder, **changes}, record["config"])
    except InputError as error:
        raise InputError(error.problem, file=error.file, fix=FIX if error.file else error.fix) from error
    if not trust:
        refuse_code(config, folder / RECORD, "add --trust, if you know what it does")
    check_settings(job)
    check_inputs(job)
    moved = {
        name: _each_path(value, lambda path: moved_path(path, record.get("folder"), folder)) for name, value in config
    }
    return PlannedJob(recipe, settle(config.model_copy(update=moved))), job


def refuse_code(config: BaseModel, file: Path | None, fix: str, typed: object = None) -> None:
    """Raise `InputError` if settings, of groups too, name code to be run, ``module:Class``, that was not ``typed``."""
    from pydantic import BaseModel

    from cryorbit.core.errors import InputError

    named = typed if isinstance(typed, Mapping) else dict(typed) if isinstance(typed, BaseModel) else {}
    for name, value in config:
        if isinstance(value, BaseModel):
            refuse_code(value, file, fix, named.get(name))
        elif name == "method" and isinstance(value, str) and ":" in value and named.get(name) != value:
            raise InputError(f"the setting 'method' names code to be run, {value!r}", file=file, fix=fix)


def work(planned: PlannedJob, job: JobFolder, progress: Progress, group: Group = SINGLE_PROCESS) -> None:
    """Do the work of a job, or what is left of it, and keep its report; errors as the recipe raises them.

    The processes of a group share the work; the first of them alone writes the record, the log and the report.
    """
    from cryorbit.io.job_run import running, write_missing_report
    from cryorbit.report.live import LiveReport
    from cryorbit.report.page import write_report

    if job.read()["status"] in COMPLETE:
        once(group, lambda: write_missing_report(job, write_report))
        return
    limit_threads(getattr(planned.config, "threads", None))
    launch_on(getattr(planned.config, "device", None))
    with job.shared(group) as mine:
        if group.rank > 0:
            planned.recipe.run(planned.config, mine, progress)
            return
        with LiveReport(progress, job.path) as live, running(job, write_report):
            planned.recipe.run(planned.config, mine, live)


def settle(config: BaseModel) -> Any:
    """The same settings with absolute paths and, where a device is a setting, the one that will be used."""
    changes = {name: _each_path(value, Path.absolute) for name, value in config}
    if "device" in changes:
        changes["device"] = choose_device(changes["device"] if "device" in config.model_fields_set else None)
    return config.model_copy(update=changes)


def _each_path(value: Any, change: Callable[[Path], Path]) -> Any:
    """A setting with a change made to the path, or the paths, that it is."""
    if isinstance(value, Path):
        return change(value)
    if isinstance(value, tuple):
        return tuple(_each_path(each, change) for each in value)
    return value
