"""A recipe run as a job: its folder, its progress, its end, and what is said about it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from cryorbit.cli.console import watch
from cryorbit.cli.devices import limit_threads
from cryorbit.cli.interrupts import StopFlag, stop_on_interrupt
from cryorbit.cli.json_progress import JsonProgress
from cryorbit.cli.summary import print_summary
from cryorbit.cli.voice import voice
from cryorbit.core.errors import InputError
from cryorbit.core.progress import Progress, Stopped

if TYPE_CHECKING:
    from pydantic import BaseModel

    from cryorbit.io.job_folder import JobFolder

EXIT_STOPPED = 130
_CONFIGS = {
    "abinit": "cryorbit.recipes.abinit:AbinitConfig",
    "classify": "cryorbit.recipes.classify:ClassifyConfig",
    "demo": "cryorbit.recipes.demo:DemoConfig",
    "optimise": "cryorbit.recipes.optimise:OptimiseConfig",
    "mra moments": "cryorbit.recipes.mra_moments:MomentsMRAConfig",
    "mra solve": "cryorbit.recipes.mra_solve:SolveMRAConfig",
    "mra train": "cryorbit.recipes.mra_training:TrainEncodersConfig",
    "postprocess": "cryorbit.recipes.postprocess:PostprocessConfig",
    "refine": "cryorbit.recipes.refine:RefineConfig",
    "reconstruct": "cryorbit.recipes.reconstruct:ReconstructConfig",
    "run": "cryorbit.recipes.pipeline:PipelineConfig",
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """A verb that leaves a job folder: its settings and the function that does the work."""

    verb: str
    config: type[BaseModel]
    run: Callable[[Any, JobFolder, Progress], object]


def find_recipe(verb: str) -> Recipe:
    """Import the recipe behind ``verb``; ``InputError`` if the verb makes no job that can be resumed."""
    if verb not in _CONFIGS:
        raise InputError(f"a job of {verb!r} cannot be resumed", mend="run the command again in a new folder")
    module_name, _, config_name = _CONFIGS[verb].partition(":")
    module = import_module(module_name)
    return Recipe(verb, getattr(module, config_name), module.run)


def start(recipe: Recipe, config: BaseModel, output: Path, inputs: Sequence[Path] = ()) -> None:
    """Make a job folder at ``output`` and work on it."""
    from cryorbit.io.job_folder import JobFolder

    settings = config.model_dump(mode="json")
    work(recipe, config, JobFolder.create(output, verb=recipe.verb, config=settings, inputs=inputs))


def work(recipe: Recipe, config: BaseModel, job: JobFolder) -> None:
    """Run ``recipe`` on ``job`` with progress on stderr, write the report and print the end summary."""
    from cryorbit.io.job_run import running
    from cryorbit.report.page import write_report

    limit_threads(getattr(config, "threads", None))
    console = voice().console()
    try:
        with running(job), stop_on_interrupt(console) as stop, _progress(console, stop) as progress:
            recipe.run(config, job, progress)
    except (Stopped, KeyboardInterrupt):
        console.print(f"stopped; go on with: cryorbit resume {job.path}", markup=False, soft_wrap=True)
        sys.exit(EXIT_STOPPED)
    write_report(job.path)
    print_summary(job.read(), job.path, Console())


def _progress(console: Console, stop: StopFlag) -> AbstractContextManager[Progress]:
    """Progress in the form that was chosen."""
    if voice().log_json:
        return nullcontext(JsonProgress(sys.stderr, stop))
    return watch(console, stop)
