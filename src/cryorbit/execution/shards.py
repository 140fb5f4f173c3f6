"""Passes over particles in fixed shards by number: batches, their order and so all sums are the same on any machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from jaxtyping import Int
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.execution.group import Group
from cryorbit.execution.watch import UNWATCHED, AddedUp, Rows, Watch, left_of

T = TypeVar("T")
MOST_SHARDS = 64
SMALLEST_SHARD = 512
"""Particles of a shard, at least: the last batch of a shard is smaller than the others, and small batches are slow."""


@dataclass(frozen=True, slots=True)
class Shards:
    """Consecutive parts of N particles by number. They depend on N alone; each process works on some of them.

    Attributes
    ----------
    particles
        Number of particles, N.
    group
        The processes that share the work.
    watch
        Who looks on.
    """

    particles: int
    group: Group
    watch: Watch = UNWATCHED

    @property
    def first_particles(self) -> Int[Tensor, " bounds"]:
        """Number of the first particle of each shard, and N."""
        count = max(1, min(MOST_SHARDS, self.particles // SMALLEST_SHARD))
        return torch.arange(count + 1) * self.particles // count

    def batches(self, index: Int[Tensor, " n"], size: int) -> list[slice]:
        """Rows of ``index`` that are worked on together in this process: consecutive ones of one shard.

        Parameters
        ----------
        index
            Numbers of particles, rising.
        size
            Rows of a batch, at most.

        Raises
        ------
        ValueError
            The numbers do not rise: rows of one shard would not be consecutive.
        """
        if bool((index[1:] < index[:-1]).any()):
            raise ValueError("particles are passed over in the order of their numbers")
        rows = torch.searchsorted(index, self.first_particles.to(index)).tolist()
        shards = len(rows) - 1
        mine = range(shards * self.group.rank // self.group.size, shards * (self.group.rank + 1) // self.group.size)
        return [
            slice(start, min(start + size, rows[shard + 1]))
            for shard in mine
            for start in range(rows[shard], rows[shard + 1], size)
        ]

    def run(
        self, work: Callable[[slice], T], index: Int[Tensor, " n"], size: int, into: AddedUp | None = None
    ) -> list[T]:
        """Return what ``work`` makes of each of the batches of the particles at ``index``, in order, of all processes.

        ``work`` takes rows of ``index``. Sums that it adds to in place, ``into``, are those of this process: one call
        of ``group.sum_``, for all of the sums of a pass, has to follow. A run that was ended goes on with what its
        watch has kept of it. A batch that the memory of a GPU does not hold is worked on in halves, and so are all
        later ones: until its work ends it may have added to nothing.

        Raises
        ------
        Stopped
            The watch of some process asked for it.
        InputError
            The memory of the GPU does not hold the work on one image.
        """
        batches = [(rows.start, rows.stop) for rows in self.batches(index, size)]
        before = self.watch.sweep(batches, into)
        results, left, stopped = dict(before.held), deque(left_of(batches, before.done)), False
        while left:
            stopped = self.watch.stop_requested()
            if stopped:
                break
            start, end = left.popleft()
            rows = (start, min(end, start + size))
            attempt = _attempt(work, rows)
            if attempt is None:
                size = _half(rows)
                left.appendleft((start, end))
                continue
            if rows[1] < end:
                left.appendleft((rows[1], end))
            results[rows] = attempt.result
            self.watch.finished(rows, attempt.result)
        everywhere = self.group.gather((stopped, results))
        if any(ended for ended, _ in everywhere):
            self.watch.stop()
        return [result for _, result in sorted((item for _, each in everywhere for item in each.items()), key=_place)]


@dataclass(frozen=True, slots=True)
class _Attempt(Generic[T]):
    """Work that was done."""

    result: T


def _attempt(work: Callable[[slice], T], rows: Rows) -> _Attempt[T] | None:
    """Work on some rows; None if the memory is full: the error, which holds on to all that was made, is gone then."""
    try:
        return _Attempt(work(slice(*rows)))
    except torch.OutOfMemoryError:
        return None


def _half(rows: Rows) -> int:
    """Half as many rows; ``InputError`` if there is but one."""
    if rows[1] - rows[0] == 1:
        raise InputError(
            "the memory of the GPU does not hold the work on one image",
            fix="use a GPU with more memory, fewer classes or a coarser --max-resolution",
        )
    return (rows[1] - rows[0]) // 2


def _place(item: tuple[Rows, object]) -> Rows:
    """Rows of a result."""
    return item[0]
