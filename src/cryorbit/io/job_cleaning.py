"""What a finished job needs no more: its checkpoints, and those of the jobs within it."""

from __future__ import annotations

import shutil
from pathlib import Path

from cryorbit.core.errors import InputError
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_record import RECORD

_CHECKPOINT = "checkpoint"
_LOCK = "lock"


def clean_job(folder: Path, *, dry_run: bool = False) -> int:
    """Remove the checkpoints of a finished job, and return how many bytes they held.

    Parameters
    ----------
    folder
        The job.
    dry_run
        Whether they are only counted.

    Raises
    ------
    InputError
        The folder holds no job, the job is not finished (it would continue from its checkpoint), or another process is
        at work on it.
    """
    job = JobFolder.open(folder)
    status = job.read()["status"]
    if status != "finished":
        fix = f"finish it with `cryorbit resume {folder}`, or remove its folder"
        raise InputError(f"the job is {status}, not finished", file=folder, fix=fix)
    with job.locked():
        # the lock is held: it stays
        leftovers = [each for place in _checkpoints(folder) for each in place.iterdir() if each.name != _LOCK]
        freed = sum(file.stat().st_size for each in leftovers for file in _files(each))
        if not dry_run:
            for each in leftovers:
                shutil.rmtree(each) if each.is_dir() else each.unlink()
    return freed


def _checkpoints(folder: Path) -> list[Path]:
    """Checkpoint folders of a job and of the jobs within it, none of them within another."""
    places = [place for place in folder.rglob(_CHECKPOINT) if (place.parent / RECORD).is_file()]
    return [place for place in places if place.is_dir() and not any(other in place.parents for other in places)]


def _files(place: Path) -> list[Path]:
    return [file for file in place.rglob("*") if file.is_file()] if place.is_dir() else [place]
