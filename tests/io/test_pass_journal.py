"""Iterations that end in the middle: what was done is not done again, and sums and results come out the same."""

import threading
import weakref
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryorbit.core.errors import InputError
from cryorbit.core.progress import SilentProgress, Stopped
from cryorbit.execution import shards
from cryorbit.execution.group import Group
from cryorbit.execution.shards import Shards
from cryorbit.io.pass_journal import MANIFEST, PassJournal

T = TypeVar("T")
PARTICLES, BATCH, PARTS = 60, 4, 2
BATCHES = PARTICLES // BATCH


@pytest.fixture(autouse=True, scope="module")
def small_shards() -> Any:
    """Six shards of ten particles, of three batches each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SMALLEST_SHARD", 10)
        yield


class Killed(BaseException):
    """The end of a process without warning."""


@dataclass
class Together:
    """What threads that stand for processes have in common."""

    size: int
    values: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.barrier = threading.Barrier(self.size)
        self.values = [None] * self.size


@dataclass(frozen=True)
class Thread:
    """A thread as a process of a group."""

    rank: int
    together: Together

    @property
    def size(self) -> int:
        """Number of threads."""
        return self.together.size

    def gather(self, value: T) -> list[T]:
        """The values of all threads."""
        self.together.values[self.rank] = value
        self.together.barrier.wait()
        values = list(self.together.values)
        self.together.barrier.wait()
        return values

    def broadcast(self, value: T) -> T:
        """The value of the first."""
        return self.gather(value)[0]

    def any(self, *, flag: bool) -> bool:
        """Whether any flag is set."""
        return any(self.gather(flag))

    def sum_(self, tensors: Any) -> None:
        """Sum in place."""
        for tensor in tensors:
            tensor.copy_(sum(self.gather(tensor.clone())))


class Sums:
    """A sum for each of ten bins."""

    def __init__(self) -> None:
        self.bins = torch.zeros(10, dtype=torch.int64)

    def write_to(self, stream: BinaryIO) -> None:
        """Write down."""
        np.save(stream, self.bins.numpy())

    def add_from(self, stream: BinaryIO) -> None:
        """Add what was written down."""
        self.bins += torch.from_numpy(np.load(stream))


class Shelf:
    """Sums of parts that are over."""

    def __init__(self) -> None:
        self.sums: list[torch.Tensor] = []

    def __len__(self) -> int:
        """Number of them."""
        return len(self.sums)

    def write(self, number: int, stream: BinaryIO) -> None:
        """Write down one of them."""
        np.save(stream, self.sums[number].numpy())

    def put_from(self, stream: BinaryIO) -> None:
        """Put what was written down."""
        self.sums.append(torch.from_numpy(np.load(stream)))


class Ending(SilentProgress):
    """Ends a process after so many batches: kills it, or asks it to stop."""

    def __init__(self, left: int, *, kill: bool) -> None:
        self.left, self.kill, self.worked = left, kill, 0

    def work(self) -> None:
        """Count a batch that is worked on."""
        self.worked += 1

    def within(self, done: int, total: int) -> None:
        """Count down."""
        assert 0 < done <= total
        self.left -= 1
        if self.kill and self.left == 0:
            raise Killed

    def stop_requested(self) -> bool:
        """Whether the count is over."""
        return not self.kill and self.left <= 0


def iteration(journal: PassJournal, group: Group, progress: Ending) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Two parts of two runs each, one without sums, one with; returns the sums of the parts and all results."""
    index, shelf = torch.arange(PARTICLES), Shelf()
    mine = Shards(PARTICLES, group, journal)

    def look(rows: slice) -> torch.Tensor:
        progress.work()
        return index[rows] ** 2

    def part(number: int) -> torch.Tensor:
        seen = torch.cat(mine.run(look, index, BATCH))
        sums = Sums()

        def add(rows: slice) -> tuple[torch.Tensor, int]:
            progress.work()
            sums.bins.index_add_(0, index[rows] % 10, seen[rows] + number)
            return seen[rows] + number, rows.start

        results = mine.run(add, index, BATCH, sums)
        assert [start for _, start in results] == sorted(start for _, start in results)
        group.sum_([sums.bins])
        shelf.sums.append(sums.bins)
        return torch.cat([values for values, _ in results])

    journal.begin("pass 3")
    found = torch.cat([journal.part(partial(part, number), shelf) for number in range(PARTS)])
    journal.close()
    journal.begin(None)
    return shelf.sums, found


def attempt(folder: Path, processes: int, endings: list[Ending], every_s: float) -> list[Any]:
    """Let so many processes try; what each comes to, or how it ended."""
    together, ends = Together(processes), [None] * processes

    def run(rank: int) -> None:
        group, progress = Thread(rank, together), endings[rank]
        journal = PassJournal(folder, "a job", group, progress, torch.device("cpu"), every_s, lambda: 0.0)
        try:
            ends[rank] = iteration(journal, group, progress)
        except (Stopped, Killed, threading.BrokenBarrierError) as end:
            ends[rank] = end
            if not isinstance(end, Stopped):
                # of a group of which one process is gone nobody goes on
                together.barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(processes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


def assert_right(ends: list[Any]) -> None:
    squares = torch.arange(PARTICLES) ** 2
    wanted = torch.cat([squares + number for number in range(PARTS)])
    for sums, found in ends:
        assert torch.equal(found, wanted)
        for number, bins in enumerate(sums):
            assert torch.equal(bins, (squares + number).view(-1, 10).sum(0))


def never(count: int) -> list[Ending]:
    return [Ending(10**9, kill=True) for _ in range(count)]


@settings(deadline=None, max_examples=25)
@given(
    tries=st.lists(
        st.tuples(st.integers(1, 3), st.lists(st.integers(1, 40), min_size=3, max_size=3), st.booleans()), max_size=4
    ),
    last=st.integers(1, 3),
)
def test_whatever_ends_it_the_iteration_comes_to_the_same(
    tmp_path_factory: pytest.TempPathFactory, tries: list[tuple[int, list[int], bool]], last: int
) -> None:
    folder = tmp_path_factory.mktemp("journal") / "pass"
    for processes, lefts, kill in tries:
        ends = attempt(folder, processes, [Ending(left, kill=kill) for left in lefts[:processes]], 0.0)
        if not any(isinstance(end, BaseException) for end in ends):
            assert_right(ends)
    assert_right(attempt(folder, last, never(last), 0.0))
    assert not folder.exists()


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("kill", [False, True])
def test_what_was_kept_is_not_done_again(tmp_path: Path, processes: int, *, kill: bool) -> None:
    whole = never(1)
    attempt(tmp_path / "whole", 1, whole, 0.0)
    first = [Ending(9, kill=kill) for _ in range(2)]
    attempt(tmp_path / "pass", 2, first, 0.0)
    then = never(processes)
    assert_right(attempt(tmp_path / "pass", processes, then, 0.0))
    again = sum(each.worked for each in (*first, *then)) - whole[0].worked
    # a batch that was killed before it was kept, of either process
    assert 0 <= again <= (2 if kill else 0)


def test_nothing_is_written_before_it_is_time(tmp_path: Path) -> None:
    ends = attempt(tmp_path / "pass", 1, [Ending(20, kill=True)], 1000.0)
    assert isinstance(ends[0], Killed)
    assert not (tmp_path / "pass").exists()
    # a stop keeps everything in any case
    attempt(tmp_path / "pass", 1, [Ending(20, kill=False)], 1000.0)
    assert list((tmp_path / "pass").glob(f"*/{MANIFEST}"))


def test_another_iteration_starts_without_what_was_left(tmp_path: Path) -> None:
    attempt(tmp_path / "pass", 1, [Ending(20, kill=False)], 0.0)
    group = Thread(0, Together(1))
    journal = PassJournal(tmp_path / "pass", "a job", group, SilentProgress(), torch.device("cpu"), 0.0)
    journal.begin("pass 4")
    assert not journal.sweep([(0, 4)], None).done
    assert not list((tmp_path / "pass").iterdir())


def test_a_damaged_file_is_named_with_the_way_out(tmp_path: Path) -> None:
    attempt(tmp_path / "pass", 1, [Ending(20, kill=False)], 0.0)
    (file,) = (tmp_path / "pass").glob("*/results_0.pt")
    file.write_bytes(file.read_bytes()[:-40])
    group = Thread(0, Together(1))
    journal = PassJournal(tmp_path / "pass", "a job", group, SilentProgress(), torch.device("cpu"), 0.0)
    with pytest.raises(InputError, match=r"(?s)results_0\.pt.*repeats the pass"):
        journal.begin("pass 3")


def test_sums_are_let_go_once_they_are_used(tmp_path: Path) -> None:
    """They are the largest arrays there are, and maps are made of them next."""
    journal = PassJournal(
        tmp_path / "pass", "a job", Thread(0, Together(1)), SilentProgress(), torch.device("cpu"), 0.0
    )
    journal.begin("pass 3")
    sums = Sums()
    journal.sweep([(0, 4)], sums)
    held = weakref.ref(sums)
    journal.close()
    del sums
    assert held() is None


def test_a_stop_waits_where_nothing_can_be_kept(tmp_path: Path) -> None:
    journal = PassJournal(
        tmp_path / "pass", "a job", Thread(0, Together(1)), Ending(0, kill=False), torch.device("cpu"), 0.0
    )
    assert journal.stop_requested()
    journal.begin("pass 3")
    assert journal.stop_requested()
    journal.close()
    assert not journal.stop_requested()
