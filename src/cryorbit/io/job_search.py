"""Jobs below a folder, and whether anybody is at work on one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from cryorbit.core.errors import InputError
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_record import RECORD


def find_jobs(folder: Path) -> Iterator[Path]:
    """Folders of jobs in and below ``folder``, by name; hidden folders and what lies within a job are passed over."""
    for place, below, files in os.walk(folder):
        if RECORD in files:
            below.clear()
            yield Path(place)
        below[:] = sorted(name for name in below if not name.startswith("."))


def state_of(job: JobFolder) -> str:
    """Status of a job, ``killed`` where the record says that it is at work and no process is.

    Raises
    ------
    InputError
        The record is missing or damaged.
    """
    status = str(job.read()["status"])
    return "killed" if status in ("running", "reporting") and not _is_held(job) else status


def _is_held(job: JobFolder) -> bool:
    if not (job.path / "checkpoint").is_dir():
        return False
    try:
        with job.locked():
            return False
    except (InputError, OSError):
        # where the lock cannot be had for want of permission, the record is believed
        return True
