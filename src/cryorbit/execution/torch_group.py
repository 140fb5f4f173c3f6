"""Processes that torch.distributed connects: started by torchrun, by srun, or by ``cryorbit --processes``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch.distributed
from torch import Tensor

from cryorbit.core.place import place_of_process
from cryorbit.execution.group import SINGLE_PROCESS, Group

T = TypeVar("T")
PATIENCE = timedelta(days=2)
"""How long a process waits for the others: for a pass over the images of a slower one. One that died is noticed."""
FIRST_PORT, PORTS = 15000, 20000
"""Ports of jobs that srun starts, which names none: the job's number tells which."""


def join_group(environment: Mapping[str, str] = os.environ) -> Group:
    """The processes that share this one's job, connected; it waits until all of them are there."""
    place = place_of_process(environment)
    if place.size == 1:
        return SINGLE_PROCESS
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group(
            init_method=_meeting_point(environment),
            rank=place.rank,
            world_size=place.size,
            timeout=PATIENCE,
        )
    return TorchGroup(place.rank, place.size)


@contextmanager
def connected() -> Iterator[Group]:
    """The processes that share this one's job, connected while the block runs.

    The threads of a connection that is left open abort a process that ends.
    """
    try:
        yield join_group()
    finally:
        leave_group()


def leave_group() -> None:
    """End the connection, if there is one."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _meeting_point(environment: Mapping[str, str]) -> str:
    """Address at which the first process can be met."""
    if "MASTER_ADDR" in environment and "MASTER_PORT" in environment:
        return f"tcp://{environment['MASTER_ADDR']}:{environment['MASTER_PORT']}"
    host = environment.get("SLURM_LAUNCH_NODE_IPADDR", "localhost")
    return f"tcp://{host}:{FIRST_PORT + int(environment.get('SLURM_JOB_ID', 0)) % PORTS}"


@dataclass(frozen=True, slots=True)
class TorchGroup:
    """A process among those that torch.distributed connects; see `Group`."""

    rank: int
    size: int

    def sum_(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over the processes, in place."""
        for tensor in tensors:
            torch.distributed.all_reduce(tensor)

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes in the order of their ranks."""
        values: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(values, value)
        return values

    def broadcast(self, value: T) -> T:
        """Return the value of process 0."""
        box = [value]
        torch.distributed.broadcast_object_list(box, src=0)
        return box[0]

    def any(self, *, flag: bool) -> bool:
        """Return whether the flag of any process is set."""
        return any(self.gather(flag))
