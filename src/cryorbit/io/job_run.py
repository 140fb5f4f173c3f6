"""A job at work: the lock on its folder, its log, and how it ended."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from cryorbit.core.errors import InputError
from cryorbit.core.progress import Stopped
from cryorbit.io.atomic import remove_parts
from cryorbit.io.destinations import LOG
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_record import CHECKPOINT, RECORD, seal
from cryorbit.io.provenance import describe_input

Report: TypeAlias = Callable[[Path], object]
"""Writes the report of a job into its folder."""
_LOGGER = logging.getLogger("cryorbit")


@contextmanager
def running(job: JobFolder, report: Report | None = None) -> Iterator[None]:
    """Hold ``job`` while it works: nobody else can, ``log.txt`` is open, and the record tells how it ended.

    The status becomes ``running``, then ``finished``, ``stopped`` or ``failed``; of a job that was killed it stays
    ``running``, but the lock goes with the process. How often that happened is counted as ``killed``. With a
    ``report``, a job whose work is done is ``reporting`` until that is written, and ``finished`` only then.

    Raises
    ------
    InputError
        If another process is working on the job.
    """
    with job.locked(), _logged(job.path / LOG):
        tidy(job)
        began = time.monotonic()
        before = job.read()
        seconds_before = float(before["timings"].get("seconds", 0.0))
        killed = before["killed"] + (before["status"] == "running")
        job.record(status="running", error=None, killed=killed, timings={"started": _now()})
        try:
            yield
        except BaseException as problem:
            # a job that is refused to finish now can go on as before
            refused = job.finish_now and isinstance(problem, InputError)
            stopped = refused or isinstance(problem, Stopped | KeyboardInterrupt)
            error = None if stopped else f"{type(problem).__name__}: {problem}"
            if not stopped:
                _LOGGER.error("the job failed: %s", problem, exc_info=not isinstance(problem, InputError))
            # on a full disk the record cannot be written either: what is told is why the job ended
            with suppress(OSError, InputError):
                job.record(
                    status="stopped" if stopped else "failed", error=error, timings=_spent(seconds_before, began)
                )
            raise
        job.record(status="finished" if report is None else "reporting", timings=_spent(seconds_before, began))
        if report is not None:
            report(job.path)
            job.record(status="finished")


def write_missing_report(job: JobFolder, report: Report) -> None:
    """Write the report of a job whose work is done; ``InputError`` if another process is at it."""
    with job.locked(), _logged(job.path / LOG):
        tidy(job)
        report(job.path)
        job.record(status="finished", error=None)


def tidy(job: JobFolder) -> None:
    """Remove what processes that were killed had begun to write; nobody else may be working on the job."""
    for folder in (job.path, job.path / CHECKPOINT, job.path / "figures"):
        remove_parts(folder)


def check_settings(job: JobFolder) -> None:
    """Raise ``InputError`` if the record no longer says what it said when the job began: it would be another job."""
    record = job.read()
    if record["seal"] != seal(record):
        fix = "put the old settings back, or start a new job with the new ones"
        raise InputError("the settings are not those that the job began with", file=job.path / RECORD, fix=fix)


def check_inputs(job: JobFolder) -> None:
    """Raise ``InputError`` if an input of the job is gone or is no longer the file it was."""
    record = job.read()
    for entry in record["inputs"]:
        file = moved_path(Path(entry["path"]), record.get("folder"), job.path)
        if not file.is_file():
            fix = "put the file back, or move the job's folder and its inputs together"
            raise InputError(f"an input of {job.path / RECORD} is gone", file=file, fix=fix)
        if describe_input(file) | {"path": entry["path"]} != entry:
            fix = "put the old file back, or start a new job"
            raise InputError("the job's input has changed since the job began", file=file, fix=fix)


def moved_path(path: Path, folder_then: str | None, folder: Path) -> Path:
    """Where a path of a job is now: as it was, or, if it is gone there, as it lay from the job's folder."""
    if folder_then is None or path.exists():
        return path
    now = Path(os.path.normpath(folder.absolute() / os.path.relpath(path, folder_then)))
    return now if now.exists() else path


@contextmanager
def _logged(file: Path) -> Iterator[None]:
    """Append what the package logs to ``file``."""
    handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s  %(levelname)-7s  %(message)s"))
    level = _LOGGER.level
    _LOGGER.addHandler(handler)
    _LOGGER.setLevel(logging.INFO)
    try:
        yield
    finally:
        _LOGGER.removeHandler(handler)
        _LOGGER.setLevel(level)
        handler.close()


def _spent(seconds_before: float, began: float) -> dict[str, Any]:
    """When the work ended, and the seconds of it over all times that the job was begun."""
    return {"ended": _now(), "seconds": round(seconds_before + time.monotonic() - began, 3)}


def _now() -> str:
    """Return the time in UTC to the second, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
