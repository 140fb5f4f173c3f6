"""The verb ``reproduce``: published tables and figures recomputed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cryorbit.cli.options import Seed, Threads


def reproduce(
    name: Annotated[str, Parameter(help="What to reproduce, or list.")],
    *,
    output: Annotated[
        Path | None,
        Parameter(
            name=["--output", "-o"], help="Folder for tables and figures; required except with list. Default: none."
        ),
    ] = None,
    full: Annotated[
        bool,
        Parameter(
            negative="--quick",
            help="The largest scale, or a few minutes of it; `reproduce list` says where the largest is not the "
            "paper's. Default: --quick.",
        ),
    ] = False,
    medium: Annotated[
        bool, Parameter(negative="", help="About an hour of it, where --full takes much longer. Default: off.")
    ] = False,
    seed: Seed = None,
    threads: Threads = None,
) -> None:
    """Recompute a published table and write it beside the published numbers: report.html, CSV, Markdown, PNG."""
    from rich.console import Console

    from cryorbit.studies import REPRODUCTIONS

    if name != "list":
        _work(name, output, _scale(full, medium), seed, threads)
        return
    width = max(map(len, REPRODUCTIONS)) + 2
    for known, entry in REPRODUCTIONS.items():
        for lead, line in ((known, entry.title), ("", f"--full: {entry.full}")):
            Console().print(f"{lead:<{width}}{line}", markup=False, highlight=False, soft_wrap=True)


def _scale(full: bool, medium: bool) -> str:
    from cryorbit.core.errors import InputError

    if full and medium:
        raise InputError("--full and --medium exclude each other", fix="leave one out")
    return "full" if full else "medium" if medium else "quick"


def _work(name: str, output: Path | None, scale: str, seed: int | None, threads: int | None) -> None:
    """Reproduce with progress on stderr, and print the files."""
    from rich.console import Console

    from cryorbit.api.devices import limit_threads
    from cryorbit.api.interrupts import stop_on_interrupt
    from cryorbit.cli.job_work import EXIT_STOPPED, shown_progress
    from cryorbit.cli.voice import voice
    from cryorbit.core.errors import InputError
    from cryorbit.core.progress import Stopped
    from cryorbit.recipes.config import load_config
    from cryorbit.report.reproduction import write_reproduction
    from cryorbit.studies import ReproduceConfig, find_reproduction
    from cryorbit.studies.kept import claim_folder

    entry = find_reproduction(name)
    if output is None:
        raise InputError("there is no folder for the results", fix="name one with -o")
    limit_threads(threads)
    config = load_config(
        ReproduceConfig, None, {"name": name, "output": output.absolute(), "scale": scale, "seed": seed}
    )
    claim_folder(config.output, name)
    console = voice().console()
    try:
        with stop_on_interrupt(console) as stop, shown_progress(console, stop) as progress:
            files = list(entry.run(config, progress))
    except (Stopped, KeyboardInterrupt):
        console.print("stopped; the same command continues after the parts that are finished", markup=False)
        sys.exit(EXIT_STOPPED)
    for file in (*files, write_reproduction(output.absolute(), entry.title, files)):
        Console().print(f"wrote {file}", markup=False, highlight=False, soft_wrap=True)
