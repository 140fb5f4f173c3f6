"""The verb ``resume``: go on with a job that was stopped or killed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cryorbit.cli.options import Device, Memory, Threads


def resume(
    folder: Annotated[Path, Parameter(help="Job folder, as it was named with -o.")],
    *,
    device: Device = None,
    threads: Threads = None,
    memory: Memory = None,
) -> None:
    """Go on with a job that was stopped or killed, from its last checkpoint and with its own settings."""
    from cryorbit.api.jobs import reopen_job
    from cryorbit.cli.jobs import carry_out

    carry_out(*reopen_job(folder, {"device": device, "threads": threads, "memory": memory}))
