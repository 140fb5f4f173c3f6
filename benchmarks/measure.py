"""What a command costs: wall time, CPU time of it and of all it starts, and peak memory.

The kernel counts the memory of the calling process towards a command until the command has replaced it: a benchmark
that measures memory imports heavy libraries only afterwards.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

CRYORBIT = (sys.executable, "-c", "from cryorbit.cli.main import main; main()")
"""The command line of this environment, whether or not its scripts are on the PATH."""
BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took.

    Attributes
    ----------
    wall_s
        Seconds on the clock.
    cpu_s
        Seconds of all its processes and threads, user and system.
    peak_MiB
        Largest resident memory of one of its processes.
    """

    wall_s: float
    cpu_s: float
    peak_MiB: float  # noqa: N815 (units belong to the name)


def run_measured(
    command: Sequence[str | Path], log: Path, folder: Path | None = None, limit_s: float | None = None
) -> Cost:
    """Run a command in ``folder``, its output to ``log``, and measure it; it is ended after ``limit_s`` seconds.

    Raises
    ------
    RuntimeError
        The command failed.
    """
    words = [str(word) for word in command]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as stream:
        began = time.monotonic()
        process = subprocess.Popen(words, cwd=folder, stdout=stream, stderr=subprocess.STDOUT)
        until_ended: list[tuple[float, float]] = []
        timer = threading.Timer(limit_s or threading.TIMEOUT_MAX, _end, (process, until_ended))
        timer.daemon = True
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode and not until_ended:
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}; see {log}")
    measured = (usage.ru_utime + usage.ru_stime, usage.ru_maxrss * BYTES_PER_UNIT / 2**20)
    cpu, peak = map(max, zip(measured, *until_ended, strict=True))
    return Cost(wall, cpu, peak)


def _end(process: subprocess.Popen[bytes], until_ended: list[tuple[float, float]]) -> None:
    """End a process that is out of time, with all it started; what code it then returns is its own affair.

    A parent that is ended does not wait for its children, so the system never adds what they took to its own: CPU
    seconds of all, and memory of the largest (as it is now), are noted before.
    """
    parent = psutil.Process(process.pid)
    family = (parent, *parent.children(recursive=True))
    seconds, largest = 0.0, 0.0
    for each in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            seconds += sum(each.cpu_times()[:4])
            largest = max(largest, each.memory_info().rss / 2**20)
    until_ended.append((seconds, largest))
    for each in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.terminate()
