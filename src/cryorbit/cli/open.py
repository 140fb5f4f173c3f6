"""The verb ``open``: the report of a job in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def open(  # noqa: A001 (the verb has this name)
    folder: Annotated[Path, Parameter(help="Job folder, as it was named with -o.")],
) -> None:
    """Open the report of a job in the browser, also while the job runs; the page refreshes itself.

    Without a browser, as on a cluster, the name of the file is printed: it can be copied elsewhere and needs no other.
    """
    import webbrowser

    from rich.console import Console

    from cryorbit.api.jobs import REPORT
    from cryorbit.api.recipe_table import CONFIGS
    from cryorbit.core.errors import InputError
    from cryorbit.io.job_folder import JobFolder

    job = JobFolder.open(folder)
    page = job.path.absolute() / REPORT
    if not page.is_file():
        verb = job.read()["verb"]
        if verb not in CONFIGS:
            raise InputError(f"a job of {verb!r} writes no report", file=folder, fix=f"cryorbit show {folder}")
        raise InputError("this job has no report yet", file=folder, fix=f"cryorbit resume {folder}")
    shown = webbrowser.open(page.as_uri())
    lead = "opened" if shown else "there is no browser here; the report is"
    Console().print(f"{lead} {page}", markup=False, highlight=False, soft_wrap=True)
