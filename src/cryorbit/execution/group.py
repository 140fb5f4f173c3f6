"""The processes that work on one job, and how they come to the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from torch import Tensor

T = TypeVar("T")


class Group(Protocol):
    """Processes that share a job. Each of them makes the same calls in the same order."""

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""
        ...

    @property
    def size(self) -> int:
        """Number of processes."""
        ...

    def sum_(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over the processes, in place: the largest arrays of a job are among them."""
        ...

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes in the order of their ranks."""
        ...

    def broadcast(self, value: T) -> T:
        """Return the value of process 0."""
        ...

    def any(self, *, flag: bool) -> bool:
        """Return whether the flag of any process is set."""
        ...


class SingleProcess:
    """A job in one process: its numbers are those of all."""

    rank = 0
    size = 1

    def sum_(self, tensors: Iterable[Tensor]) -> None:
        """Leave the tensors as they are."""

    def gather(self, value: T) -> list[T]:
        """Return the only value there is."""
        return [value]

    def broadcast(self, value: T) -> T:
        """Return the value."""
        return value

    def any(self, *, flag: bool) -> bool:
        """Return the flag."""
        return flag


SINGLE_PROCESS = SingleProcess()


def from_all(group: Group, work: Callable[[], T]) -> list[T]:
    """Return what ``work`` returns in each process, by rank; of exceptions the first is raised in all of them."""
    results = group.gather(_attempt(work))
    failure = next((error for _, error in results if error is not None), None)
    if failure is not None:
        raise failure
    return [value for value, _ in results]  # type: ignore[misc]


def share_of(items: Sequence[T], group: Group) -> Sequence[T]:
    """The items of this process: as many as of each other one, give or take one, and in their order over the ranks."""
    bounds = [rank * len(items) // group.size for rank in (group.rank, group.rank + 1)]
    return items[slice(*bounds)]


def once(group: Group, work: Callable[[], T]) -> T:
    """Return what ``work`` returns in process 0, in all of them; an exception that it raises there is raised in all."""
    value, failure = group.broadcast(_attempt(work) if group.rank == 0 else (None, None))
    if failure is not None:
        raise failure
    return value  # type: ignore[return-value]


def _attempt(work: Callable[[], T]) -> tuple[T | None, Exception | None]:
    """What ``work`` returns, or the exception that it raises: others would wait for a result that never comes."""
    try:
        return work(), None
    except Exception as error:  # noqa: BLE001
        return None, error
