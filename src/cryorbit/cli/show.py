"""The verb ``show``: the summary of a job again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def show(
    folder: Annotated[Path, Parameter(help="Job folder, as it was named with -o.")],
) -> None:
    """Print the summary of a job again: state, maps, verdict, and what to do next."""
    from rich.console import Console

    from cryorbit.cli.summary import print_summary
    from cryorbit.core.readable import duration
    from cryorbit.io.job_folder import JobFolder
    from cryorbit.io.job_search import state_of

    job = JobFolder.open(folder)
    record = job.read() | {"status": state_of(job)}
    console, timings = Console(), record["timings"]
    parts = [record["verb"], record["status"], (timings.get("started") or "")[:16].replace("T", " ")]
    parts += [duration(timings["seconds"])] if timings.get("seconds") else []
    console.print(" · ".join(filter(None, parts)), markup=False, highlight=False, soft_wrap=True)
    if record.get("error"):
        console.print(record["error"], style="red", markup=False, highlight=False, soft_wrap=True)
    print_summary(record, folder, console)
