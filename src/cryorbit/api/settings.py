"""Settings as Python gives them: dotted names, particles and maps in memory; and the list of what there is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
from pydantic import BaseModel

from cryorbit.api.job import Job
from cryorbit.api.particle_set import ParticleSet
from cryorbit.api.recipe_table import find_config
from cryorbit.api.volume import Volume
from cryorbit.core.errors import InputError
from cryorbit.core.setting_list import list_settings
from cryorbit.io.destinations import make_folder, require_free_folder, require_new_file
from cryorbit.io.job_folder import LEFT_BY_FAILURE, JobFolder
from cryorbit.io.job_record import RECORD
from cryorbit.io.job_result import Result
from cryorbit.recipes.real_demo import FOLDER, PARTICLES, SYMMETRY, copy_particles

ParticleLike: TypeAlias = ParticleSet | Path | str
MapLike: TypeAlias = Volume | Job | Path | str
PREPARED_MARK = ".cryorbit"
"""Hidden file beside input that was written for a job to come: written again, it may be replaced."""


def settings(verb: str) -> pd.DataFrame:
    """List every setting of a verb: its dotted name, the values it takes, its default, and what it does.

    Parameters
    ----------
    verb
        As on the command line: ``abinit``, ``refine``, ``run``, ``simulate``, ...

    Raises
    ------
    InputError
        The verb has no settings, or does not exist.
    """
    rows = [(each.name, each.values, each.default, each.meaning) for each in list_settings(find_config(verb))]
    return pd.DataFrame(rows, columns=["setting", "values", "default", "meaning"]).set_index("setting")


def _set_twice(group: str, name: str) -> InputError:
    return InputError(f"{group!r} is set twice, as a group and in part", fix=f"set {name!r} within the group")


def unfold(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with dotted names as groups: ``{"search.iterations": 30}`` is ``{"search": {"iterations": 30}}``."""
    nested: dict[str, Any] = {}
    for name, value in dotted.items():
        *groups, last = name.split(".")
        place = nested
        for group in groups:
            place = place.setdefault(group, {})
            if not isinstance(place, dict):
                raise _set_twice(group, name)
        if last in place:
            raise _set_twice(last, name)
        place[last] = _plain(value)
    return nested


def _plain(value: Any) -> Any:
    """A group of settings as a mapping, of a config what was set in it; other values as they are."""
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True)
    return dict(value) if isinstance(value, Mapping) else value


def particle_settings(particles: ParticleLike, output: Path) -> dict[str, Path]:
    """The file of a particle set, and where its images are; a part of a set is written to ``output`` first.

    Raises
    ------
    InputError
        A part would be written where there is a job already.
    """
    if not isinstance(particles, ParticleSet):
        return {"particles": Path(particles)}
    folder = {} if particles.data_dir is None else {"data_dir": particles.data_dir}
    if particles.complete:
        return {"particles": particles.particles.source, **folder}
    file = _free(output, "input.star", "input.cs")
    particles.save(file, overwrite=True)
    return {"particles": file}


def real_particle_settings(output: Path) -> dict[str, Any]:
    """Settings of ``run`` for the real particles that come with the package, which are copied to ``output`` first.

    Raises
    ------
    InputError
        They would be written where there is a job already.
    """
    return {"particles": copy_particles(PARTICLES, _free(output, FOLDER)), "output": output, "symmetry": SYMMETRY}


def map_file(source: MapLike, output: Path, number: int = 1) -> Path:
    """The file of a map; one in memory is written to ``output`` first, of a job it is that of the first class."""
    if isinstance(source, Volume):
        file = _free(output, f"start_{number}.mrc")
        source.save(file, overwrite=True)
        return file
    if isinstance(source, Job):
        classes = JobFolder.open(source.folder).read_result(Result).classes
        if not classes:
            raise InputError("this job has no map", file=source.folder, fix="resume it first")
        return source.folder / classes[0].map
    return Path(source)


def _free(output: Path, name: str, *more: str) -> Path:
    """The place of a file in the folder of a job to come, which is made; ``InputError`` if anything could be replaced.

    Files of these names, and of ``more``, are those of an earlier attempt only if cryorbit marked them as its own.
    """
    if (output / RECORD).exists() and JobFolder.open(output).read()["status"] != "failed":
        raise InputError("this folder already holds a job", file=output, fix="choose another folder")
    require_free_folder(output, LEFT_BY_FAILURE if (output / RECORD).exists() else ())
    mark = output / PREPARED_MARK
    if not mark.exists():
        for each in (name, *more):
            require_new_file(output / each)
    make_folder(output)
    mark.touch()
    return output / name
