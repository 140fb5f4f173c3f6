"""Several processes of one command on one machine, which share its work: ``--processes``."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from cryorbit.core.errors import InputError
from cryorbit.core.signals import SIGNALS

SHARING = ("abinit", "classify", "moments", "optimise", "reconstruct", "refine", "resume", "run")
"""Verbs whose work processes can share."""
EXIT_LOST = 3
"""Exit code of a process that ends since another one has ended."""
GRACE_S = 20.0
"""For the others to end by themselves once one has ended without success."""
LOOK_S = 0.05


def require_sharing(verb: str | None, count: int) -> None:
    """Raise ``InputError`` unless so many processes can share the work of a verb here."""
    if count < 1:
        raise InputError(f"--processes is {count}", fix="it must be at least 1")
    if count > 1 and verb not in SHARING:
        raise InputError(
            f"`cryorbit {verb}` cannot be shared among processes", fix="leave --processes out; use --threads instead"
        )


def run_processes(arguments: Sequence[str], count: int) -> int:
    """Run the command with these arguments as so many processes; returns its exit code.

    The first process speaks as the command does by itself. What the others say is shown if it did not end as they did:
    what all of them refuse is said once.
    """
    shared = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(count)}
    words = [sys.executable, "-m", "cryorbit", *arguments]
    with tempfile.TemporaryFile("w+") as others:
        processes: list[subprocess.Popen[bytes]] = []
        for rank in range(count):
            place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(count)}
            ear = None if rank == 0 else others
            processes.append(subprocess.Popen(words, env=os.environ | shared | place, stdout=ear, stderr=ear))
        with _forwarding(processes):
            failed = _wait(processes)
        if failed is None:
            return 0
        code = processes[failed].returncode
        if processes[0].returncode != code:
            _show(others)
    # as a shell tells the end by a signal
    return code if code >= 0 else 128 - code


def _wait(processes: Sequence[subprocess.Popen[bytes]]) -> int | None:
    """Number of the process that failed first, once all have ended; None if all succeeded."""
    failed, since = None, 0.0
    while any(process.poll() is None for process in processes):
        if failed is None:
            failed = _first_failed(processes)
            since = time.monotonic()
        elif time.monotonic() - since > GRACE_S:
            for process in processes:
                process.kill()
        time.sleep(LOOK_S)
    return _first_failed(processes) if failed is None else failed


def _first_failed(processes: Sequence[subprocess.Popen[bytes]]) -> int | None:
    """Of those that have failed by now, one that a signal ended or that failed by itself: the others noticed."""
    codes = {number: process.returncode for number, process in enumerate(processes) if process.poll()}
    return min(codes, key=lambda number: (codes[number] == EXIT_LOST, codes[number] > 0, number), default=None)


@contextmanager
def _forwarding(processes: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Hand signals on to the processes while the block runs: they decide what follows."""

    def forward(number: int, _frame: object) -> None:
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show(others: IO[str]) -> None:
    others.seek(0)
    sys.stderr.write(others.read())


def free_port() -> int:
    """A port of this machine at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])
