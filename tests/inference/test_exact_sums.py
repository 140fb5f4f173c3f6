"""D and W in whole numbers: those of floating point, the same for any processes, and a limit that is told."""

import math
from io import BytesIO
from pathlib import Path

import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.geometry.rotations import random_rotations
from cryorbit.inference import shelf
from cryorbit.inference.band import Band, band_within
from cryorbit.inference.exact_sums import LARGEST_AMPLITUDE, LARGEST_SUM, ExactSums, WeightedSlices, exact_sums
from cryorbit.inference.shelf import Shelf
from cryorbit.inference.statistics import empty_volumes

BOX, RADIUS, IMAGES = 24, 10.0, 60
Drawn = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def band(noise: torch.Tensor | None = None) -> Band:
    return band_within(BOX, RADIUS, torch.ones(BOX // 2 + 1) if noise is None else noise)


@pytest.fixture
def images(generator: torch.Generator) -> Drawn:
    count = len(band().disc)
    values = torch.randn(IMAGES, count, dtype=torch.complex64, generator=generator)
    return values, torch.rand(IMAGES, count, generator=generator), random_rotations(IMAGES, generator).float()


def added(images: Drawn, sums: ExactSums, part: slice = slice(None)) -> ExactSums:
    sums.add([WeightedSlices(0, 0, *(each[part] for each in images))])
    return sums


def written(sums: ExactSums) -> tuple[torch.Tensor, torch.Tensor]:
    data, weight = empty_volumes(sums.band.grid, 1, 1, torch.zeros(0, dtype=torch.complex64))
    sums.write(data, weight)
    return data, weight


def new(noise: torch.Tensor | None = None, images: int = IMAGES) -> ExactSums:
    return exact_sums(band(noise), images, 1, 1, torch.device("cpu"))


def test_sums_are_those_of_floating_point(images: Drawn) -> None:
    found = written(added(images, new()))
    expected = band().grid.insert(*images, band().disc.frequencies)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one[0, 0], other, rtol=0, atol=3e-6 * float(other.abs().max()))


def test_shares_of_processes_sum_to_the_same_bits(images: Drawn) -> None:
    whole = added(images, new())
    parts = [added(images, new(), part) for part in (slice(0, 13), slice(13, 14), slice(14, None))]
    assert torch.equal(sum(part.counts for part in parts), whole.counts)


def test_quanta_follow_the_least_noise_down_to_a_millionth_of_the_largest() -> None:
    """A coefficient over its noise has the size that noise leaves it: four times the noise, half the quantum."""
    one, four = new(torch.ones(BOX // 2 + 1)), new(torch.full((BOX // 2 + 1,), 4.0))
    assert (one.quanta[0] / four.quanta[0], one.quanta[1] / four.quanta[1]) == (2.0, 4.0)
    filtered = torch.ones(BOX // 2 + 1)
    filtered[5] = 1e-9
    floor = torch.ones(BOX // 2 + 1)
    floor[5] = 1e-6
    assert new(filtered).quanta == new(floor).quanta
    assert new(floor).quanta[0] > 500 * one.quanta[0]
    # the shells beyond the radius are not among them
    filtered = torch.ones(BOX // 2 + 1)
    filtered[int(RADIUS) + 1 :] = 1e-5
    assert new(filtered).quanta == one.quanta


def test_sums_that_were_written_down_are_added(images: Drawn) -> None:
    """With the largest coefficient so far, which may be that of an image before."""
    whole, (first, then) = added(images, new()), (added(images, new(), part) for part in (slice(0, 9), slice(9, None)))
    for earlier, later in ((first, then), (new(), first)):
        stream = BytesIO()
        earlier.write_to(stream)
        stream.seek(0)
        later.add_from(stream)
    assert torch.equal(then.counts, whole.counts)
    assert torch.equal(then.largest, whole.largest)


def test_a_shelf_hands_out_and_takes_in_single_sums(tmp_path: Path, images: Drawn) -> None:
    expected, stream = written(added(images, new())), BytesIO()
    with Shelf(tmp_path) as first, Shelf(tmp_path) as other:
        first.put(added(images, new(), slice(0, 5)))
        first.put(added(images, new()))
        first.write(1, stream)
        # goes on where it was
        first.put(added(images, new(), slice(5, 9)))
        stream.seek(0)
        other.put_from(stream)
        assert (len(first), len(other)) == (3, 1)
        data, weight = empty_volumes(band().grid, 1, 1, torch.zeros(0, dtype=torch.complex64))
        other.take(data, weight)
    assert torch.equal(data, expected[0])
    assert torch.equal(weight, expected[1])


@pytest.mark.parametrize("images_announced", [1, 3000, 10**6])
def test_quanta_are_fine_beside_what_one_image_adds(images_announced: int) -> None:
    """A shell with a hundred times the noise of another adds tens of quanta still, of a million images."""
    noise = torch.ones(BOX // 2 + 1)
    noise[4:] = 100.0
    value, weight = new(noise, images_announced).quanta
    typical = 2 * 0.5 / 10, 2 * 0.25 / 100
    assert typical[0] / value > 30
    assert typical[1] / weight > 30


def test_as_many_of_the_largest_fit() -> None:
    sums = new()
    assert float(sums.limits[0]) >= 2 * LARGEST_AMPLITUDE
    for limit, quantum in zip(sums.limits.tolist(), sums.quanta, strict=True):
        assert 1e-3 * LARGEST_SUM < limit / quantum * IMAGES <= LARGEST_SUM


@pytest.mark.parametrize("factor", [2.0, -2.0, 2.0j, math.nan])
def test_what_does_not_fit_is_told(images: Drawn, factor: complex) -> None:
    values, weights, rotations = images
    values = values.clone()
    values[7, 3] = factor * float(new().limits[0])
    with pytest.raises(InputError, match=r"times as strong as the noise\n  fix: normalise"):
        written(added((values, weights, rotations), new()))


@pytest.mark.parametrize("kept", [1, 2**26])
def test_sums_on_a_shelf_are_taken_as_they_were_put(
    images: Drawn, kept: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In memory and, where it is too large for that, in a file that is gone at the end."""
    monkeypatch.setattr(shelf, "KEPT_IN_MEMORY", kept)
    halves = [added(images, new(), part) for part in (slice(0, 25), slice(25, None))]
    data, weight = empty_volumes(band().grid, 2, 1, torch.zeros(0, dtype=torch.complex64))
    with Shelf(tmp_path) as place:
        for sums in halves:
            place.put(sums)
        place.take(data, weight)
    for half, sums in enumerate(halves):
        expected = written(sums)
        assert torch.equal(data[half], expected[0][0])
        assert torch.equal(weight[half], expected[1][0])
    assert not list(tmp_path.iterdir())


def test_rows_that_nothing_fell_on_stay_as_they_are(images: Drawn) -> None:
    data, weight = written(added((images[0], images[1], torch.eye(3).repeat(IMAGES, 1, 1)), new()))
    # all slices lie in the plane z = 0
    assert data[0, 0, 1:].count_nonzero() == 0
    assert weight[0, 0, 1:].count_nonzero() == 0
    assert weight[0, 0, 0].count_nonzero() > 0
