"""The verb ``jobs``: the jobs below a folder, one line each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    from rich.console import Console


def jobs(
    folder: Annotated[Path, Parameter(help="Folder in which jobs are searched for. Default: this one.")] = Path(),
    *,
    as_json: Annotated[
        bool, Parameter(name="--json", negative="", help="Print a JSON object per job instead of a table.")
    ] = False,
) -> None:
    """List the jobs in a folder and below it: verb, state, verdict, resolution and time of each, the latest last.

    A job is killed if its record says that it is running and no process of this machine holds it. Links to folders are
    not followed.
    """
    from rich.console import Console

    from cryorbit.core.errors import InputError
    from cryorbit.io.job_search import find_jobs

    found = sorted((_row(each, folder) for each in find_jobs(folder)), key=lambda row: row["started"] or "")
    console = Console()
    if as_json:
        for row in found:
            console.print(json.dumps(row), markup=False, highlight=False, soft_wrap=True)
        return
    if not found:
        raise InputError("there are no jobs here or below", file=folder, fix="name the folder that holds them")
    _print_table(found, console)


def _row(folder: Path, above: Path) -> dict[str, Any]:
    """What the list says of a job; of a damaged one only that."""
    from cryorbit.core.errors import InputError
    from cryorbit.io.job_folder import JobFolder
    from cryorbit.io.job_result import Result, read_result
    from cryorbit.io.job_search import state_of

    name = str(folder.relative_to(above)) if folder != above else str(folder)
    row: dict[str, Any] = dict.fromkeys(("job", "verb", "state", "verdict", "resolution_A", "seconds", "started"))
    row["job"] = name
    try:
        job = JobFolder(folder)
        record, row["state"] = job.read(), state_of(job)
    except InputError:
        return row | {"state": "damaged"}
    result = read_result(record, Result)
    known = [each.resolution_masked_A or each.resolution_A for each in result.classes]
    finest = min((each for each in known if each is not None), default=None)
    return row | {
        "verb": record["verb"],
        "verdict": result.verdict.level if result.verdict else None,
        "resolution_A": finest,
        "seconds": record["timings"].get("seconds"),
        "started": record["timings"].get("started"),
    }


def _print_table(found: list[dict[str, Any]], console: Console) -> None:
    from rich.table import Column, Table

    from cryorbit.core.readable import duration

    numbers = [Column(name, justify="right", no_wrap=True) for name in ("resolution", "time")]
    columns: list[Column | str] = ["verb", "state", "verdict", *numbers, Column("job", overflow="fold")]
    table = Table(*columns, box=None, padding=(0, 2, 0, 0))
    for row in found:
        resolution = "" if row["resolution_A"] is None else f"{row['resolution_A']:.1f} Å"
        spent = "" if row["seconds"] is None else duration(row["seconds"])
        table.add_row(row["verb"], row["state"], row["verdict"] or "", resolution, spent, row["job"])
    console.print(table)
