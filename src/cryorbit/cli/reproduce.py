"""The verb ``reproduce``: published tables and figures recomputed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cryorbit.cli.options import ConfigFile, Seed, Threads
from cryorbit.cli.study_scale import Full, Medium, chosen_scale


def reproduce(
    name: Annotated[str, Parameter(help="What to reproduce, or list.")],
    *,
    output: Annotated[
        Path | None,
        Parameter(
            name=["--output", "-o"],
            help="Folder for the results; new or empty. Required except with list. Default: none.",
        ),
    ] = None,
    full: Full = None,
    medium: Medium = False,
    seed: Seed = None,
    config: ConfigFile = None,
    threads: Threads = None,
) -> None:
    """Recompute a published table and write it beside the published numbers.

    Writes a job folder with report.html, CSV, Markdown and PNG. Ctrl-C stops the job and keeps the parts that are
    finished; `cryorbit resume` continues it. `cryorbit settings reproduce NAME` lists the settings of a study.
    """
    from cryorbit.cli.job_work import start
    from cryorbit.core.errors import InputError
    from cryorbit.studies import find_reproduction
    from cryorbit.studies.registry import VERB

    if name == "list":
        _print_list()
        return
    find_reproduction(name)
    scale = chosen_scale(full, medium=medium)
    if output is None:
        raise InputError("there is no folder for the results", fix="name one with -o")
    settings = {"output": output, "scale": scale, "seed": seed, "threads": threads}
    start(f"{VERB} {name}", settings, config)


def _print_list() -> None:
    """Print every study with its title and, below it, what its largest scale is not."""
    from rich.console import Console

    from cryorbit.studies import REPRODUCTIONS

    width = max(map(len, REPRODUCTIONS)) + 2
    for known, entry in REPRODUCTIONS.items():
        for lead, line in ((known, entry.title), ("", f"--full: {entry.full}")):
            Console().print(f"{lead:<{width}}{line}", markup=False, highlight=False, soft_wrap=True)
