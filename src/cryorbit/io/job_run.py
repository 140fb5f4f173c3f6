"""A job at work: the lock on its folder, its log, and how it ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import filelock

from cryorbit.core.errors import InputError
from cryorbit.core.progress import Stopped
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.provenance import describe_input

_LOGGER = logging.getLogger("cryorbit")


@contextmanager
def running(job: JobFolder) -> Iterator[None]:
    """Hold ``job`` while it works: nobody else can, ``log.txt`` is open, and the record tells how it ended.

    The status becomes ``running``, then ``finished``, ``stopped`` or ``failed``; of a job that was killed it stays
    ``running``, but the lock goes with the process. How often that happened is counted as ``killed``.

    Raises
    ------
    InputError
        If another process is working on the job.
    """
    try:
        lock = filelock.FileLock(job.path / "checkpoint" / "lock", timeout=0).acquire()
    except filelock.Timeout:
        mend = "wait for it, or stop it first"
        raise InputError("another process is working on this job", file=job.path, mend=mend) from None
    with lock, _logged(job.path / "log.txt"):
        began = time.monotonic()
        before = job.read()
        seconds_before = float(before["timings"].get("seconds", 0.0))
        killed = before.get("killed", 0) + (before["status"] == "running")
        job.record(status="running", error=None, killed=killed, timings={"started": _now()})
        status, error = "failed", None
        try:
            yield
            status = "finished"
        except (Stopped, KeyboardInterrupt):
            status = "stopped"
            raise
        except BaseException as problem:
            error = f"{type(problem).__name__}: {problem}"
            _LOGGER.error("the job failed: %s", problem, exc_info=not isinstance(problem, InputError))
            raise
        finally:
            seconds = round(seconds_before + time.monotonic() - began, 3)
            job.record(status=status, error=error, timings={"ended": _now(), "seconds": seconds})


def check_inputs(job: JobFolder) -> None:
    """Raise ``InputError`` if an input of the job is gone or is no longer the file it was."""
    for entry in job.read()["inputs"]:
        file = Path(entry["path"])
        if not file.is_file():
            raise InputError("the job's input is gone", file=file, mend="put the file back")
        if describe_input(file) != entry:
            mend = "put the old file back, or start a new job"
            raise InputError("the job's input has changed since the job began", file=file, mend=mend)


@contextmanager
def _logged(file: Path) -> Iterator[None]:
    """Append what the package logs to ``file``."""
    handler = logging.FileHandler(file)
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


def _now() -> str:
    """Return the time in UTC to the second, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
