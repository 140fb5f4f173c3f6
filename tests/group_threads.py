"""Processes of a group as threads, for tests of what they do together."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any

from group_members import Member


@dataclass(frozen=True)
class ThreadMember(Member):
    """A thread that hears the others: all of them gather at the same calls."""

    barrier: Barrier
    places: list[Any]

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all, by rank."""
        self.places[self.rank] = value
        self.barrier.wait(30)
        values = list(self.places)
        self.barrier.wait(30)
        return values


def in_threads(count: int, work: Callable[[ThreadMember], Any]) -> list[Any]:
    """What ``work`` returns, or the exception it raises, in each of so many members of a group."""
    barrier, places = Barrier(count), [None] * count

    def done(rank: int) -> Any:
        try:
            return work(ThreadMember(rank, count, barrier, places))
        except Exception as error:  # noqa: BLE001
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(done, range(count)))
