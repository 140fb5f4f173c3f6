"""Passes over particles in fixed shards by number: batches, their order and so all sums are the same on any machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Int
from torch import Tensor

from cryorbit.core.progress import Stopped
from cryorbit.execution.group import Group

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
    """

    particles: int
    group: Group

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
        self,
        work: Callable[[slice], T],
        index: Int[Tensor, " n"],
        size: int,
        stop: Callable[[], bool] | None = None,
    ) -> list[T]:
        """Return what ``work`` makes of each of the batches of the particles at ``index``, in order, of all processes.

        ``work`` takes rows of ``index``. Sums that it adds to in place are those of this process: one call of
        ``group.sum_``, for all of the sums of a pass, has to follow. Once ``stop`` says so in one process, no more
        batches are begun there, and `Stopped` is raised in all.
        """
        mine = []
        for rows in self.batches(index, size):
            if stop is not None and stop():
                break
            mine.append(work(rows))
        if stop is not None and self.group.any(flag=stop()):
            raise Stopped
        return [result for of_process in self.group.gather(mine) for result in of_process]
