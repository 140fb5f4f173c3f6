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
    from cryorbit.cli.devices import choose_device
    from cryorbit.cli.jobs import find_recipe, work
    from cryorbit.core.errors import InputError
    from cryorbit.io.job_folder import JobFolder
    from cryorbit.io.job_run import check_inputs
    from cryorbit.recipes.config import load_config

    job = JobFolder.open(folder)
    record = job.read()
    if record["status"] == "finished":
        raise InputError("this job is finished", file=folder, mend=f"open {folder / 'report.html'}")
    recipe = find_recipe(record["verb"])
    check_inputs(job)
    given = {**record["config"], "output": folder.absolute()}
    given["device"] = choose_device(device or given.get("device"))
    given["threads"] = threads or given.get("threads")
    given["memory"] = memory or given.get("memory")
    work(recipe, load_config(recipe.config, None, given), job)
