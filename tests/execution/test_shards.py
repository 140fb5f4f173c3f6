"""Passes in shards: every particle once, in the order of the numbers, however many processes share the work."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cryorbit.core.errors import InputError
from cryorbit.execution.group import SINGLE_PROCESS
from cryorbit.execution.shards import MOST_SHARDS, SMALLEST_SHARD, Shards
from cryorbit.execution.watch import left_of
from group_members import Member


@given(
    particles=st.integers(1, 200_000),
    chosen=st.integers(0, 300),
    processes=st.integers(1, 9),
    size=st.integers(1, 70),
    seed=st.integers(0, 9),
)
def test_processes_share_the_batches_of_one(particles: int, chosen: int, processes: int, size: int, seed: int) -> None:
    drawn = torch.randperm(particles, generator=torch.Generator().manual_seed(seed))[:chosen]
    index = drawn.sort().values
    alone = Shards(particles, SINGLE_PROCESS).batches(index, size)
    shared = [Shards(particles, Member(rank, processes)).batches(index, size) for rank in range(processes)]
    assert [rows for mine in shared for rows in mine] == alone
    assert torch.equal(torch.cat([index[:0], *(index[rows] for rows in alone)]), index)
    assert all(0 < rows.stop - rows.start <= size for rows in alone)


@pytest.mark.parametrize(
    ("particles", "count"),
    [(1, 1), (2 * SMALLEST_SHARD - 1, 1), (2 * SMALLEST_SHARD, 2), (10**6, MOST_SHARDS)],
)
def test_the_number_of_shards_follows_that_of_particles(particles: int, count: int) -> None:
    firsts = Shards(particles, SINGLE_PROCESS).first_particles
    assert len(firsts) == count + 1
    assert (firsts[0], firsts[-1]) == (0, particles)
    assert int(firsts.diff().max() - firsts.diff().min()) <= 1


def test_a_shard_has_the_same_batches_whatever_other_shards_hold() -> None:
    """Or else what one process does would change what another one finds."""
    shards = Shards(4 * SMALLEST_SHARD, Member(3, 4))
    everything = torch.arange(4 * SMALLEST_SHARD)
    some = everything[5:]
    assert [everything[rows].tolist() for rows in shards.batches(everything, 100)] == [
        some[rows].tolist() for rows in shards.batches(some, 100)
    ]


def test_results_come_in_the_order_of_the_particles() -> None:
    index = torch.arange(0, 2000, 3)
    found = Shards(2000, SINGLE_PROCESS).run(lambda rows: index[rows], index, 7)
    assert torch.equal(torch.cat(found), index)


def test_particles_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="order of their numbers"):
        Shards(10, SINGLE_PROCESS).batches(torch.tensor([3, 1, 2]), 5)


class Memory:
    """Work that fits for so many rows at a time, and remembers what was asked of it."""

    def __init__(self, most: int) -> None:
        self.most, self.tried = most, []

    def __call__(self, rows: slice) -> torch.Tensor:
        """Rows, if they are few enough."""
        self.tried.append(rows.stop - rows.start)
        if self.tried[-1] > self.most:
            raise torch.OutOfMemoryError
        return torch.arange(rows.start, rows.stop)


def test_a_batch_that_does_not_fit_is_halved_and_so_are_later_ones() -> None:
    work, index = Memory(5), torch.arange(64)
    found = Shards(64, SINGLE_PROCESS).run(work, index, 16)
    assert torch.equal(torch.cat(found), index)
    assert work.tried == [16, 8, *[4] * 16]


@given(rows=st.integers(1, 90), size=st.integers(1, 70), most=st.integers(1, 70))
def test_all_rows_are_worked_on_once_and_in_order(rows: int, size: int, most: int) -> None:
    index = torch.arange(rows)
    assert torch.equal(torch.cat(Shards(rows, SINGLE_PROCESS).run(Memory(most), index, size)), index)


def test_an_image_that_does_not_fit_is_an_error_with_a_fix() -> None:
    with pytest.raises(InputError, match=r"one image\n.*more memory"):
        Shards(9, SINGLE_PROCESS).run(Memory(0), torch.arange(9), 4)


@given(sizes=st.tuples(st.integers(1, 30), st.integers(1, 30)), rows=st.integers(0, 90), seed=st.integers(0, 20))
def test_what_is_left_of_batches_is_what_was_not_done_in_batches_of_another_size(
    sizes: tuple[int, int], rows: int, seed: int
) -> None:
    first, second = ([(start, min(start + size, rows)) for start in range(0, rows, size)] for size in sizes)
    chosen = torch.rand(len(first), generator=torch.Generator().manual_seed(seed)) < 0.5
    done = {each for each, is_done in zip(first, chosen.tolist(), strict=True) if is_done}
    left = left_of(second, done)
    covered = [row for part in (*left, *done) for row in range(*part)]
    assert sorted(covered) == list(range(rows))
    assert left == sorted(left)
    assert all(any(start <= part[0] and part[1] <= end for start, end in second) for part in left)
