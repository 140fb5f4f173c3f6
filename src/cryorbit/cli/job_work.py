"""A job on the command line: its progress, its end, and its summary."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from cryorbit.api.console import watch
from cryorbit.api.interrupts import StopFlag, stop_on_interrupt
from cryorbit.api.jobs import PlannedJob, plan_job, work
from cryorbit.cli.json_progress import JsonProgress
from cryorbit.cli.summary import print_summary
from cryorbit.cli.voice import voice
from cryorbit.core.progress import Progress, Stopped
from cryorbit.execution.torch_group import connected

if TYPE_CHECKING:
    from cryorbit.execution.group import Group
    from cryorbit.io.job_folder import JobFolder

EXIT_STOPPED = 130


def start(verb: str, settings: Mapping[str, Any], file: Path | None = None, *, trust: bool = False) -> None:
    """Make the folder of a job and work on it; settings as `cryorbit.api.jobs.plan_job` takes them."""
    planned = plan_job(verb, settings, file, trust=trust)
    with connected() as group:
        carry_out(planned, planned.make_folder(group), group)


def carry_out(planned: PlannedJob, job: JobFolder, group: Group) -> None:
    """Work on a job with progress on stderr and print the end summary; of several processes the first speaks."""
    console = voice().console() if group.rank == 0 else Console(stderr=True, quiet=True)
    try:
        with stop_on_interrupt(console) as stop, shown_progress(console, stop) as progress:
            work(planned, job, progress, group)
    except (Stopped, KeyboardInterrupt):
        console.print(f"stopped; continue with: cryorbit resume {job.path}", markup=False, soft_wrap=True)
        sys.exit(EXIT_STOPPED)
    if group.rank == 0:
        print_summary(job.read(), job.path, Console())


def shown_progress(console: Console, stop: StopFlag) -> AbstractContextManager[Progress]:
    """Progress in the form that was chosen."""
    if voice().log_json:
        return nullcontext(JsonProgress(sys.stderr, stop))
    return watch(console, stop)
