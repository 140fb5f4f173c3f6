"""What a finished job needs no more: its checkpoints, and those of its stages."""

from __future__ import annotations

import shutil
from pathlib import Path

from cryorbit.core.errors import InputError
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_record import CHECKPOINT
from cryorbit.io.job_search import stages_of

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
        The folder holds no job, the job is not finished (it would continue from its checkpoint), another process is
        at work on it, or nobody may write there.
    """
    job = JobFolder.open(folder)
    status = job.read()["status"]
    if status != "finished":
        fix = f"finish it with `cryorbit resume {folder}`, or remove its folder"
        raise InputError(f"the job is {status}, not finished", file=folder, fix=fix)
    checkpoints = [place for place in _checkpoints(folder) if place.is_dir()]
    if not checkpoints:
        return 0
    try:
        with job.locked():
            return sum(_emptied(place, dry_run=dry_run) for place in checkpoints)
    except PermissionError as error:
        raise InputError("its checkpoint cannot be removed", file=folder, fix="check the permissions") from error


def _checkpoints(folder: Path) -> list[Path]:
    """Where a job and its stages keep checkpoints; another job within its folder has its own state and stays."""
    return [folder / CHECKPOINT, *(folder / stage / CHECKPOINT for stage in stages_of(folder))]


def _emptied(checkpoint: Path, *, dry_run: bool) -> int:
    """Remove all but the lock, which is held, and return how many bytes it was; what links lead to stays."""
    leftovers = [each for each in checkpoint.iterdir() if each.name != _LOCK]
    freed = sum(file.lstat().st_size for each in leftovers for file in _files(each))
    if not dry_run:
        for each in leftovers:
            shutil.rmtree(each) if _is_folder(each) else each.unlink()
    return freed


def _files(place: Path) -> list[Path]:
    return [file for file in place.rglob("*") if not _is_folder(file)] if _is_folder(place) else [place]


def _is_folder(place: Path) -> bool:
    return place.is_dir() and not place.is_symlink()
