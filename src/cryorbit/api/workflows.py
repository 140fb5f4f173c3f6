"""The recipes as functions: the settings of the command line in, a job folder and what it holds out.

Every function takes further settings by name: those of the recipe's config, listed by ``settings(verb)``. Settings of
a group are a mapping, a config, or have dotted names: ``search={"iterations": 30}`` or ``**{"search.iterations": 30}``.
A wrong name is an `InputError` that names the nearest. ``config`` is a TOML file, over which names that are given win;
``preset`` names settings that come with the package, over which the file wins.
``progress`` watches the job; by default it is shown on standard error or in the notebook. Ctrl-C, or interrupting
the kernel, stops a job with `Stopped` and keeps what is done; `resume` continues it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from cryorbit.api.console import watch
from cryorbit.api.interrupts import stop_on_interrupt
from cryorbit.api.job import Job
from cryorbit.api.jobs import PlannedJob, plan_job, reopen_job, work
from cryorbit.api.settings import (
    MapLike,
    ParticleLike,
    map_file,
    particle_settings,
    real_particle_settings,
    unfold,
)
from cryorbit.core.progress import Progress, Stopped
from cryorbit.io.job_folder import JobFolder


def abinit(
    particles: ParticleLike,
    output: Path | str,
    *,
    config: Path | str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Job:
    """Make first maps from particle images of unknown pose: ``classes``, ``seeds``, ``symmetry``, ``diameter``, ..."""
    return _from_particles("abinit", particles, {"output": output, **settings}, config, progress)


def map_from_moments(
    particles: ParticleLike,
    output: Path | str,
    *,
    config: Path | str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Job:
    """Make a first map from moments of the images, a second opinion beside `abinit`: ``compare``, ``starts``, ..."""
    return _from_particles("moments", particles, {"output": output, **settings}, config, progress)


def refine(
    particles: ParticleLike,
    start_map: MapLike | None,
    output: Path | str,
    *,
    config: Path | str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Job:
    """Refine a map and poses to the resolution that the images hold: ``symmetry``, ``mask``, ``method``, ...

    With None for the map, each half-set begins with a random start.
    """
    maps = {} if start_map is None else {"maps": (map_file(start_map, Path(output)),)}
    return _from_particles("refine", particles, {"output": output, **maps, **settings}, config, progress)


def classify(
    particles: ParticleLike,
    start_maps: Sequence[MapLike],
    output: Path | str,
    *,
    config: Path | str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Job:
    """Sort particles into classes, each with a starting map, and refine the maps and the poses."""
    maps = tuple(map_file(each, Path(output), number) for number, each in enumerate(start_maps, start=1))
    return _from_particles("classify", particles, {"output": output, "maps": maps, **settings}, config, progress)


def reconstruct(
    particles: ParticleLike,
    output: Path | str,
    *,
    config: Path | str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Job:
    """Make a map and half-maps from particles of known pose: ``class_number``, ``symmetry``, ``max_resolution``, ..."""
    return _from_particles("reconstruct", particles, {"output": output, **settings}, config, progress)


def run(
    particles: ParticleLike,
    output: Path | str,
    *,
    config: Path | str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Job:
    """Go from particle images to a refined, sharpened map: ``start``, ``classes``, ``symmetry``, ...; one verdict."""
    return _from_particles("run", particles, {"output": output, **settings}, config, progress)


def optimise(
    particles: ParticleLike,
    output: Path | str,
    *,
    config: Path | str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Job:
    """Minimise the likelihood of particle images by the optimiser ``method``, poses integrated out."""
    return _from_particles("optimise", particles, {"output": output, **settings}, config, progress)


def postprocess(
    folder: Job | Path | str,
    output: Path | str | None = None,
    *,
    config: Path | str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Job:
    """Sharpen a map and tell its resolution, from the half-maps of a job; by default in ``postprocess`` within it."""
    place = folder.folder if isinstance(folder, Job) else folder
    return start("postprocess", {"folder": place, "output": output, **settings}, config, progress)


def demo(output: Path | str, *, real: bool = False, progress: Progress | None = None, **settings: Any) -> Job:
    """Simulate particle images of a ribosome, reconstruct it ab initio, and compare the two: no data needed.

    ``real`` takes real particles of apoferritin instead, and goes from them to a sharpened map as `run` does.
    """
    if real:
        return start("run", {**real_particle_settings(Path(output)), **settings}, None, progress)
    return start("demo", {"output": output, **settings}, None, progress)


def resume(folder: Job | Path | str, *, progress: Progress | None = None, trust: bool = False, **settings: Any) -> Job:
    """Go on with a job that was stopped or killed.

    Only ``data_dir``, ``device``, ``threads``, ``memory`` and ``scratch`` may differ.
    ``trust`` lets it run code of your own (``module:Class``) that it was started with.
    """
    place = folder.folder if isinstance(folder, Job) else Path(folder)
    return _carry_out(*reopen_job(place, settings, trust=trust), progress)


def start(
    verb: str, settings: Mapping[str, Any], config: Path | str | None = None, progress: Progress | None = None
) -> Job:
    """Make the folder of a job and work on it; settings as `cryorbit.api.jobs.plan_job` takes them, or dotted.

    Raises
    ------
    InputError
        A setting or an input cannot be used, or the folder holds a job.
    Stopped
        The job was asked to stop; its folder keeps what is done.
    """
    planned = plan_job(verb, unfold(settings), None if config is None else Path(config))
    return _carry_out(planned, planned.make_folder(), progress)


def _from_particles(
    verb: str,
    particles: ParticleLike,
    settings: Mapping[str, Any],
    config: Path | str | None,
    progress: Progress | None,
) -> Job:
    return start(verb, {**particle_settings(particles, Path(settings["output"])), **settings}, config, progress)


def _carry_out(planned: PlannedJob, job: JobFolder, progress: Progress | None) -> Job:
    console = Console(stderr=True)
    try:
        if progress is not None:
            work(planned, job, progress)
        else:
            with stop_on_interrupt(console) as stop, watch(console, stop) as shown:
                work(planned, job, shown)
    except (Stopped, KeyboardInterrupt):
        raise Stopped(f"stopped; continue with cryorbit.resume({str(job.path)!r})") from None
    return Job(job.path)
