"""Jobs below a folder, and whether anybody is at work on one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from cryorbit.core.errors import InputError
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_record import CHECKPOINT, RECORD, read_record
from cryorbit.io.job_result import Result, read_result


def find_jobs(folder: Path) -> Iterator[Path]:
    """Folders of jobs in and below ``folder``, by name.

    A job that lies in the folder of another one counts, but no stage of that one. Hidden folders, links, and folders
    that cannot be read are passed over.

    Raises
    ------
    InputError
        There is no such folder, or it cannot be read.
    """
    _require_readable(folder)
    for place, below, files in os.walk(folder):
        parts: set[str] = set()
        if RECORD in files:
            yield Path(place)
            parts = {CHECKPOINT, *stages_of(Path(place))}
        below[:] = sorted(name for name in below if not name.startswith(".") and name not in parts)


def stages_of(job: Path) -> tuple[str, ...]:
    """Names of the folders of a job's stages; none of a job whose record is damaged."""
    try:
        named = [stage.folder for stage in read_result(read_record(job), Result).stages]
    except InputError:
        return ()
    # a name that leads elsewhere is that of no stage
    return tuple(name for name in named if name == Path(name).name)


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
    if not (job.path / CHECKPOINT).is_dir():
        return False
    try:
        with job.locked():
            return False
    except (InputError, OSError):
        # where the lock cannot be had for want of permission, the record is believed
        return True


def _require_readable(folder: Path) -> None:
    if not folder.is_dir():
        raise InputError("no such folder", file=folder, fix="check the path")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise InputError("this folder cannot be read", file=folder, fix="check the permissions")
