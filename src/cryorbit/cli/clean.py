"""The verb ``clean``: remove what finished jobs no longer need."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def clean(
    folder: Annotated[Path, Parameter(help="Job folder, or a folder with jobs in it.")],
    *,
    dry_run: Annotated[
        bool, Parameter(negative="", help="Only say what would be removed. Default: remove it.")
    ] = False,
) -> None:
    """Remove the checkpoints of finished jobs: only jobs that are not finished continue from theirs.

    Results, reports, logs and half-maps stay. Jobs that are not finished are left as they are, and named.
    """
    from rich.console import Console

    from cryorbit.core.errors import InputError
    from cryorbit.core.readable import file_size
    from cryorbit.io.job_cleaning import clean_job
    from cryorbit.io.job_search import find_jobs

    found = list(find_jobs(folder))
    if not found:
        raise InputError("there are no jobs here or below", file=folder, fix="check the path")
    console = Console()
    for each in found:
        try:
            freed = clean_job(each, dry_run=dry_run)
        except InputError as reason:
            if [each] == found:
                raise
            line = f"{each}: left as it is, {reason.problem}"
        else:
            line = f"{each}: {file_size(freed)} {'to be freed' if dry_run else 'freed'}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
