"""Where a process stands among those that share a job, and what of the machine is its part."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

OF_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
"""Variables of torchrun, and of ``cryorbit --processes``."""


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a process.

    Attributes
    ----------
    rank, size
        Its number, from 0, and how many processes there are.
    local_rank, local_size
        The same among those of its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1


def place_of_process(environment: Mapping[str, str] = os.environ) -> Place:
    """The place that torchrun's variables or, without them, those of srun name; a single process without both.

    A batch script of SLURM has many of srun's variables, too: only srun itself says how many tasks a step has.
    """
    if "RANK" in environment and "WORLD_SIZE" in environment:
        return Place(*(int(environment.get(name, default)) for name, default in zip(OF_TORCHRUN, "0101", strict=True)))
    tasks = int(environment.get("SLURM_STEP_NUM_TASKS", 1))
    if tasks > 1 and "SLURM_PROCID" in environment:
        here = -(-tasks // int(environment.get("SLURM_STEP_NUM_NODES", 1)))
        return Place(int(environment["SLURM_PROCID"]), tasks, int(environment.get("SLURM_LOCALID", 0)), here)
    return Place()


def available_cores() -> int:
    """CPU cores that this process may run on; several processes of a job share those of a machine."""
    # only Linux can keep a process to some of them
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, allowed // place_of_process().local_size)
