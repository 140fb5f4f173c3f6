"""Who looks on while images are worked on, batch by batch: what is done is kept, told, and can be ended.

A pass over a million images takes hours. What it has come to is kept now and then, so that a job that ends in the
middle of one goes on there, with any number of processes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NoReturn, Protocol, TypeVar

from cryorbit.core.progress import Stopped

T = TypeVar("T")
Rows = tuple[int, int]
"""First row of a batch and the one after its last."""


def left_of(batches: Sequence[Rows], done: Set[Rows]) -> list[Rows]:
    """What is left of batches, in order, once those that are done are taken out: they may have had other sizes."""
    left, over = [], sorted(done)
    ends = [end for _, end in over]
    for start, stop in batches:
        for first, last in over[bisect_right(ends, start) :]:
            if first >= stop:
                break
            if first > start:
                left.append((start, first))
            start = last
        if start < stop:
            left.append((start, stop))
    return left


class AddedUp(Protocol):
    """Sums that work on batches adds to in place, in any order."""

    def write_to(self, stream: BinaryIO) -> None:
        """Write them down."""
        ...

    def add_from(self, stream: BinaryIO) -> None:
        """Add those that were written down."""
        ...


class Shelved(Protocol):
    """What finished parts of an iteration put aside, one thing each."""

    def __len__(self) -> int:
        """Number of things put there."""
        ...

    def write(self, number: int, stream: BinaryIO) -> None:
        """Write down one of them."""
        ...

    def put_from(self, stream: BinaryIO) -> None:
        """Put there what was written down."""
        ...


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is known of the batches of a run over images before it begins.

    Attributes
    ----------
    held
        Results that this process has, whose sums are among its own.
    done
        Batches that some process has a result of.
    """

    held: Mapping[Rows, Any] = field(default_factory=dict)
    done: Set[Rows] = frozenset()


class Watch(Protocol):
    """Who looks on. All processes of a job make the same calls, but for `finished`."""

    def begin(self, iteration: str | None) -> None:
        """Begin an iteration, by its name in the job; None between two. What was kept of the last one is removed."""
        ...

    def sweep(self, batches: Sequence[Rows], into: AddedUp | None) -> Sweep:
        """Begin a run over batches of images, those of this process, which adds to ``into``."""
        ...

    def finished(self, rows: Rows, result: Any) -> None:
        """Note a batch."""
        ...

    def stop_requested(self) -> bool:
        """Tell whether to end now, in the middle of a run."""
        ...

    def stop(self) -> NoReturn:
        """Keep what is done, and raise ``Stopped``."""
        ...

    def part(self, work: Callable[[], T], shelf: Shelved) -> T:
        """Return what ``work`` returns, which puts one thing on ``shelf``; once done, it is not done again."""
        ...

    def close(self) -> None:
        """Keep no more of this iteration: its sums have been used."""
        ...


class Unwatched:
    """Nobody looks on."""

    def begin(self, iteration: str | None) -> None:
        """Do nothing."""

    def sweep(self, batches: Sequence[Rows], into: AddedUp | None) -> Sweep:
        """Nothing is known."""
        del batches, into
        return Sweep()

    def finished(self, rows: Rows, result: Any) -> None:
        """Do nothing."""

    def stop_requested(self) -> bool:
        """Never."""
        return False

    def stop(self) -> NoReturn:
        """Raise ``Stopped``."""
        raise Stopped

    def part(self, work: Callable[[], T], shelf: Shelved) -> T:
        """Do the work."""
        del shelf
        return work()

    def close(self) -> None:
        """Do nothing."""


UNWATCHED = Unwatched()
