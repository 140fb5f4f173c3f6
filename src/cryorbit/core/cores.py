"""CPU cores."""

from __future__ import annotations

import os


def available_cores() -> int:
    """CPU cores that this process may run on."""
    # only Linux can keep a process to some of them
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
