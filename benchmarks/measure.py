"""What a command costs: wall time, CPU time of it and of all it starts, and peak memory.

The kernel counts the memory of the calling process towards a command until the command has replaced it: a benchmark
that measures memory imports heavy libraries only afterwards.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
    command: Sequence[str | Path],
    log: Path,
    folder: Path | None = None,
    limit_s: float | None = None,
    *,
    may_be_ended: bool = False,
) -> Cost:
    """Run a command in ``folder``, its output to ``log``, and measure it; it is ended after ``limit_s`` seconds.

    Raises
    ------
    RuntimeError
        The command failed, unless it ``may_be_ended`` by somebody.
    """
    words = [str(word) for word in command]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as stream:
        began = time.monotonic()
        process = subprocess.Popen(words, cwd=folder, stdout=stream, stderr=subprocess.STDOUT)
        ended = threading.Event()
        timer = threading.Timer(limit_s or threading.TIMEOUT_MAX, _end, (process, ended))
        timer.daemon = True
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode and not ended.is_set() and not may_be_ended:
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}; see {log}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * BYTES_PER_UNIT / 2**20)


def _end(process: subprocess.Popen[bytes], ended: threading.Event) -> None:
    """End a process that is out of time; what code it then returns is its own affair."""
    ended.set()
    process.terminate()
