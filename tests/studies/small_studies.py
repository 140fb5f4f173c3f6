"""Studies run in small, as jobs, and the tables that they leave."""

import csv
from pathlib import Path
from typing import Any

from cryorbit.api.jobs import plan_job
from cryorbit.core.progress import Progress, SilentProgress
from cryorbit.io.job_folder import JobFolder
from cryorbit.studies.result import StudyResult


def run_study(name: str, folder: Path, progress: Progress | None = None, **settings: Any) -> StudyResult:
    """Run a study with these settings in a job folder, or go on in it; what it wrote."""
    planned = plan_job(f"reproduce {name}", {"output": folder, **settings})
    job = JobFolder.open(folder) if (folder / "job.json").exists() else planned.make_folder()
    return planned.recipe.run(planned.config, job, progress or SilentProgress())  # type: ignore[return-value]


def read_rows(file: Path) -> list[dict[str, str]]:
    """Rows of a table, every one of which names its seeds and its spread."""
    with file.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert rows
    assert all(row["spread"] for row in rows)
    assert all(row["seeds"] for row in rows if row["spread"] != "not published")
    return rows
