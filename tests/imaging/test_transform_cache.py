"""Transforms that are kept between passes: each image is read once where there is room, and always the same."""

from functools import partial
from pathlib import Path

import pytest
import torch

from cryorbit.fourier.half_disc import half_disc
from cryorbit.imaging.half_precision import HalfTransforms
from cryorbit.imaging.transform_cache import MakeRows, TransformCache
from cryorbit.io.kept_rows import RowsInFile, RowsInMemory

BOX, COUNT = 16, 30
NYQUIST = half_disc(BOX, BOX / 2 - 1)
ROOMY = 10**6
IN_MEMORY: MakeRows = RowsInMemory


class Reader:
    """Images, and the numbers of those that were asked for."""

    def __init__(self, images: torch.Tensor) -> None:
        self.images = images
        self.asked: list[int] = []

    def __call__(self, index: torch.Tensor) -> torch.Tensor:
        """Read some images."""
        self.asked += index.tolist()
        return self.images[index]

    def reads(self, cache: TransformCache, index: torch.Tensor, radius: float) -> int:
        """How many images a batch reads; its transforms are what they always are."""
        before, disc = len(self.asked), half_disc(BOX, radius)
        found = cache.transforms(index, disc, self)
        assert torch.equal(found, HalfTransforms.of(self.images[index], disc).single())
        return len(self.asked) - before


@pytest.fixture
def reader(generator: torch.Generator) -> Reader:
    return Reader(torch.randn(COUNT, BOX, BOX, generator=generator))


def cache_of(room: int, share: int = COUNT, largest: float = BOX, make_rows: MakeRows = IN_MEMORY) -> TransformCache:
    return TransformCache(COUNT, share, BOX, largest, room, make_rows)


def bytes_of(radius: float) -> int:
    """Bytes that the transforms of all images take."""
    return 4 * COUNT * len(half_disc(BOX, radius))


@pytest.mark.parametrize("in_file", [False, True])
def test_images_are_read_once_for_all_radii(reader: Reader, in_file: bool, tmp_path: Path) -> None:
    with cache_of(ROOMY, make_rows=partial(RowsInFile, tmp_path) if in_file else RowsInMemory) as cache:
        batches = torch.randperm(COUNT).split(7)
        for radius in (3.0, 7.0, 5.5):
            counts = [reader.reads(cache, batch, radius) for batch in batches]
            assert counts == ([7, 7, 7, 7, 2] if radius == 3.0 else [0] * 5)
        assert sorted(reader.asked) == list(range(COUNT))


def test_a_batch_may_hold_both_kept_and_new_images_and_one_twice(reader: Reader) -> None:
    with cache_of(ROOMY) as cache:
        assert reader.reads(cache, torch.tensor([4, 9]), 5.0) == 2
        assert reader.reads(cache, torch.tensor([3, 9, 4, 11, 3]), 5.0) == 3
        assert reader.reads(cache, torch.tensor([11, 4, 3, 9]), 5.0) == 0


@pytest.mark.parametrize("part", [0.0, 0.4])
def test_images_without_room_are_read_in_every_pass(reader: Reader, part: float) -> None:
    everything, kept = torch.arange(COUNT), int(part * COUNT)
    with cache_of(int(part * bytes_of(7.0)), largest=7.0) as cache:
        assert [reader.reads(cache, everything, 7.0) for _ in range(3)] == [COUNT, COUNT - kept, COUNT - kept]


def test_the_radius_is_the_largest_at_which_all_fit(reader: Reader) -> None:
    """A pass beyond it reads all images once more, and from then on as many are kept as there is room for."""
    everything, room = torch.arange(COUNT), bytes_of(5.5)
    with cache_of(room) as cache:
        assert [reader.reads(cache, everything, radius) for radius in (2.0, 4.0, 5.5)] == [COUNT, 0, 0]
        fitting = room // (bytes_of(7.0) // COUNT)
        assert [reader.reads(cache, everything, 7.0) for _ in range(2)] == [COUNT, COUNT - fitting]
        assert reader.reads(cache, everything, 3.0) == COUNT - fitting


def test_a_process_that_reads_a_share_has_room_for_a_larger_radius(reader: Reader) -> None:
    mine = torch.arange(COUNT // 3)
    with cache_of(bytes_of(7.0) // 3 + bytes_of(7.0) // 6, share=len(mine)) as cache:
        assert [reader.reads(cache, mine, radius) for radius in (2.0, 7.0)] == [len(mine), 0]
        # those of others are kept while there is room, too
        others = torch.arange(COUNT // 3, COUNT)
        first, again = (reader.reads(cache, others, 7.0) for _ in range(2))
        assert (first, again) == (len(others), len(others) - COUNT // 6)


@pytest.mark.parametrize("largest", [5.0, 7.0])
def test_no_more_is_kept_than_is_ever_asked_for(largest: float, reader: Reader) -> None:
    widths = []

    def rows(count: int, width: int) -> RowsInMemory:
        widths.append(width)
        return RowsInMemory(count, width)

    with cache_of(ROOMY, largest=largest, make_rows=rows) as cache:
        reader.reads(cache, torch.arange(COUNT), 3.0)
    assert widths == [2 * len(half_disc(BOX, largest))]


class FullDisk(RowsInMemory):
    """Room for ten rows, although more were promised."""

    def write(self, first: int, rows: torch.Tensor) -> None:
        """Write ten rows at most."""
        if first + len(rows) > 10:
            raise OSError(28, "No space left on device")
        super().write(first, rows)


def test_a_disk_that_fills_up_ends_keeping_and_not_the_job(reader: Reader, caplog: pytest.LogCaptureFixture) -> None:
    batches = torch.arange(COUNT).split(5)
    with cache_of(ROOMY, make_rows=FullDisk) as cache:
        for expected in ([5] * 6, [0, 0, 5, 5, 5, 5]):
            assert [reader.reads(cache, batch, 6.0) for batch in batches] == expected
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "No more images are kept (No space left on device): the others are read again in every pass"
    ]
