"""The recipes that leave a job folder, by the verb that calls them; each is imported when it is asked for."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryorbit.core.errors import InputError
from cryorbit.core.progress import Progress
from cryorbit.studies.registry import REPRODUCTIONS, VERB

if TYPE_CHECKING:
    from pydantic import BaseModel

    from cryorbit.io.job_folder import JobFolder

CONFIGS = {
    "abinit": "cryorbit.recipes.abinit:AbinitConfig",
    "classify": "cryorbit.recipes.classify:ClassifyConfig",
    "demo": "cryorbit.recipes.demo:DemoConfig",
    "optimise": "cryorbit.recipes.optimise:OptimiseConfig",
    "moments": "cryorbit.recipes.moments:MomentsConfig",
    "mra moments": "cryorbit.recipes.mra_moments:MomentsMRAConfig",
    "mra solve": "cryorbit.recipes.mra_solve:SolveMRAConfig",
    "mra train": "cryorbit.recipes.mra_training:TrainEncodersConfig",
    "postprocess": "cryorbit.recipes.postprocess:PostprocessConfig",
    "refine": "cryorbit.recipes.refine:RefineConfig",
    "reconstruct": "cryorbit.recipes.reconstruct:ReconstructConfig",
    "run": "cryorbit.recipes.pipeline:PipelineConfig",
    **{f"{VERB} {name}": entry.place for name, entry in REPRODUCTIONS.items()},
}
WITHOUT_JOB = {
    "mra simulate": "cryorbit.recipes.mra:SimulateMRAConfig",
    "simulate": "cryorbit.recipes.simulate:SimulateConfig",
}
"""Verbs that take a file of settings, too, and make nothing that could be resumed."""
_FILES = ("particles", "observations", "maps", "start", "mask")
"""Settings that name files a recipe reads, unless it has an ``input_files(config)`` of its own."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A verb that leaves a job folder.

    Attributes
    ----------
    verb
        Its name on the command line.
    config
        Type of its settings.
    run
        Does the work.
    input_files
        The files that it reads, to be written down and looked at again before a stopped job goes on.
    """

    verb: str
    config: type[BaseModel]
    run: Callable[[Any, JobFolder, Progress], object]
    input_files: Callable[[Any], list[Path]]


def find_recipe(verb: str, file: Path | None = None) -> Recipe:
    """Import the recipe behind ``verb``; ``InputError``, of ``file``, if it makes no job that can be resumed."""
    if verb not in CONFIGS:
        fix = "run the command again in a new folder"
        raise InputError(f"a job of {verb!r} cannot be resumed", file=file, fix=fix)
    module_name, _, config_name = CONFIGS[verb].partition(":")
    module = import_module(module_name)
    return Recipe(verb, getattr(module, config_name), module.run, getattr(module, "input_files", _named_files))


def find_config(verb: str) -> type[BaseModel]:
    """Import the settings of ``verb``; ``InputError`` if it takes none but its options."""
    known = CONFIGS | WITHOUT_JOB
    if verb not in known:
        raise InputError(f"there is no list of settings for {verb!r}", fix=_offer(verb, sorted(known)))
    module_name, _, config_name = known[verb].partition(":")
    config: type[BaseModel] = getattr(import_module(module_name), config_name)
    return config


def _offer(verb: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(verb, known, n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else f"name one of {', '.join(known)}"


def _named_files(config: BaseModel) -> list[Path]:
    return list(_paths(getattr(config, name, None) for name in _FILES))


def _paths(values: Iterator[Any]) -> Iterator[Path]:
    for value in values:
        if isinstance(value, Path):
            yield value
        elif isinstance(value, tuple):
            yield from value
