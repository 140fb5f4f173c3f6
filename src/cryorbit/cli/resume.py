"""The verb ``resume``: go on with a job that was stopped or killed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cryorbit.cli.options import DataDir, Device, Memory, Scratch, Threads, Trust


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
    """Go on with a job that was stopped or killed, from its last checkpoint and with its own settings.

    A project can be moved as a whole before; --data-dir tells where images are that were moved by themselves.
    """
    from dataclasses import replace

    from cryorbit.api.jobs import reopen_job
    from cryorbit.cli.jobs import carry_out
    from cryorbit.core.errors import InputError
    from cryorbit.io.job_folder import JobFolder

    settings = {
        "data_dir": data_dir,
        "device": device,
        "threads": threads,
        "memory": memory,
        "scratch": scratch,
    }
    if finish_now and not JobFolder.open(folder).has_begun:
        raise InputError("nothing is done yet", file=folder, fix="resume without --finish-now")
    planned, job = reopen_job(folder, settings, trust=trust)
    carry_out(planned, replace(job, finish_now=finish_now))
