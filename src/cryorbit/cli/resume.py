"""The verb ``resume``: continue a job that was stopped or killed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cryorbit.cli.options import DataDir, Device, Memory, Scratch, Threads, Trust

FINISHING = ("abinit", "classify", "moments", "optimise", "refine", "run")
"""Verbs whose jobs hold maps at any time: what they have come to can be finished early."""


def resume(
    folder: Annotated[Path, Parameter(help="Job folder, as it was named with -o.")],
    *,
    data_dir: DataDir = None,
    device: Device = None,
    threads: Threads = None,
    memory: Memory = None,
    scratch: Scratch = None,
    finish_now: Annotated[
        bool,
        Parameter(
            negative="",
            help="Make the maps from what is done: no more iterations but a last pass over all particles.",
        ),
    ] = False,
    trust: Trust = False,
) -> None:
    """Continue a job that was stopped or killed, with the settings it was started with.

    A stop, also within a pass over the particles, keeps everything up to the batch being computed; a kill loses at most
    the last few minutes. The job folder and its inputs can be moved together first; if only the images were moved, give
    their folder with --data-dir.
    """
    from dataclasses import replace

    from cryorbit.api.jobs import reopen_job
    from cryorbit.cli.job_work import carry_out
    from cryorbit.execution.torch_group import connected

    settings = {
        "data_dir": data_dir,
        "device": device,
        "threads": threads,
        "memory": memory,
        "scratch": scratch,
    }
    if finish_now:
        _require_maps(folder)
    planned, job = reopen_job(folder, settings, trust=trust)
    with connected() as group:
        carry_out(planned, replace(job, finish_now=finish_now), group)


def _require_maps(folder: Path) -> None:
    """Raise ``InputError`` unless a job has done something that maps can be made of."""
    from cryorbit.core.errors import InputError
    from cryorbit.io.job_folder import JobFolder

    job = JobFolder.open(folder)
    verb, fix = job.read()["verb"], "resume without --finish-now"
    if verb not in FINISHING:
        raise InputError(f"a job of `cryorbit {verb}` has no maps before its end", file=folder, fix=fix)
    if not job.has_begun:
        raise InputError("nothing is done yet", file=folder, fix=fix)
