"""Work in forked children: everything is imported once, and a case that hangs, crashes or eats memory harms nobody."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryorbit.core.errors import InputError

CPU_S, WALL_S, MEMORY_BYTES = 60, 900, 6 * 2**30
"""A case that takes more than one of these hangs; wall time is generous, as the machine may have other work."""
REFUSED, CRASHED = 2, 70
ACCEPTED = "accepted: "
"""What a case writes when it finds that an impossible value was taken for a possible one."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a child ended.

    Attributes
    ----------
    code
        Its exit code; minus the signal that ended it.
    said
        What it wrote on both streams.
    cpu_s
        CPU seconds it took.
    timed_out
        Whether it was ended because it took too long.
    """

    code: int
    said: str
    cpu_s: float
    timed_out: bool

    @property
    def hung(self) -> bool:
        """Whether it took more time than it may."""
        return self.timed_out or self.code == -signal.SIGXCPU


def start(work: Callable[[], object], folder: Path, log: Path) -> int:
    """Begin to work in ``folder`` in a child, its output in ``log``; its process number."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    code = CRASHED
    try:
        stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        os.chdir(folder)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 5))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
        code = _code_of(work)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def finish(child: int, log: Path) -> Outcome:
    """Wait for a child, and end it if it takes too long."""
    began, timed_out = time.monotonic(), False
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            break
        if not timed_out and time.monotonic() - began > WALL_S:
            timed_out = True
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)
    said = log.read_text(errors="replace") if log.exists() else ""
    return Outcome(os.waitstatus_to_exitcode(status), said, usage.ru_utime + usage.ru_stime, timed_out)


def attempt(work: Callable[[], object], folder: Path, log: Path) -> Outcome:
    """Do work in a child and wait for it."""
    log.unlink(missing_ok=True)
    return finish(start(work, folder, log), log)


def cpu_seconds(child: int) -> float:
    """CPU seconds that a running child has taken so far; infinite once it is gone."""
    with contextlib.suppress(OSError, IndexError):
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return float("inf")


@contextlib.contextmanager
def no_report() -> Iterator[None]:
    """Leave the figures of reports out: they take most of the time of a tiny job."""
    from cryorbit.report import page

    render, page.render_report = page.render_report, lambda *_, **__: "<!doctype html>"  # type: ignore[assignment]
    try:
        yield
    finally:
        page.render_report = render


def _code_of(work: Callable[[], object]) -> int:
    """Do the work and tell its exit code; errors and tracebacks are written as they would be seen."""
    try:
        work()
    except SystemExit as end:
        return int(end.code or 0)
    except InputError as error:
        sys.stderr.write(f"error: {error}\n")
        return REFUSED
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        return CRASHED
    return 0
