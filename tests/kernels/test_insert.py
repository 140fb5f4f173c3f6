"""Insertion in place: what insertion into new volumes makes, added, whatever the number of threads."""

import numba
import pytest
import torch

from cryorbit.fourier.half_disc import half_disc
from cryorbit.fourier.interpolation import add_slices
from cryorbit.geometry.rotations import random_rotations
from cryorbit.kernels import insert
from cryorbit.kernels.insert import insert_numba, insert_torch

BOX, PAD, COUNT = 16, 2, 40
Slices = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


@pytest.fixture
def slices(generator: torch.Generator) -> Slices:
    """Values, weights, rotations and frequencies; the first slices lie in planes of the grid."""
    disc = half_disc(BOX, BOX / 2 - 1)
    values = torch.randn(COUNT, len(disc), dtype=torch.complex64, generator=generator)
    weights = torch.rand(COUNT, len(disc), generator=generator)
    rotations = random_rotations(COUNT, generator).float()
    turns = torch.tensor([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]), torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    rotations[:3] = torch.stack([torch.eye(3), *turns])
    return values, weights, rotations, disc.frequencies


def empty(dtype: torch.dtype = torch.complex64) -> tuple[torch.Tensor, torch.Tensor]:
    size = PAD * BOX
    volume = torch.zeros(size, size, size // 2 + 1, dtype=dtype)
    return volume, torch.zeros_like(volume.real)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_adds_what_insertion_makes(slices: Slices, threads: int, dtype: torch.dtype) -> None:
    values, weights, rotations, frequencies = slices
    expected, density = insert_torch(
        values.to(torch.complex128), weights.double(), rotations, frequencies, PAD * BOX, PAD
    )
    sums = empty(dtype)
    before = numba.get_num_threads()
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    try:
        for part in (slice(0, 15), slice(15, COUNT)):
            cast = values[part].to(dtype), weights[part].to(sums[1].dtype)
            add_slices(*sums, *cast, rotations[part], frequencies, PAD)
    finally:
        numba.set_num_threads(before)
    torch.testing.assert_close(sums[0].to(torch.complex128), expected, rtol=0, atol=2e-5)
    torch.testing.assert_close(sums[1].double(), density, rtol=0, atol=2e-5)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="there is only one thread")
def test_the_number_of_threads_changes_nothing(slices: Slices) -> None:
    values, weights, rotations, frequencies = slices
    found = []
    before = numba.get_num_threads()
    for threads in (1, 2):
        numba.set_num_threads(threads)
        sums = empty()
        add_slices(*sums, values, weights, rotations, frequencies, PAD)
        found.append(sums)
    numba.set_num_threads(before)
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


@pytest.mark.parametrize(("budget", "in_place"), [(0, 1), (2**40, 0)])
def test_volumes_of_all_threads_fit_their_memory_or_there_is_one(
    slices: Slices, monkeypatch: pytest.MonkeyPatch, budget: int, in_place: int
) -> None:
    values, weights, rotations, frequencies = slices
    calls = []
    add_numba = insert.add_numba

    def counted(*arguments: torch.Tensor) -> None:
        calls.append(1)
        add_numba(*arguments)

    monkeypatch.setattr(insert, "add_numba", counted)
    monkeypatch.setattr(insert, "LANES_BYTES", budget)
    found = insert_numba(values, weights, rotations, frequencies, PAD * BOX, PAD)
    assert len(calls) == in_place
    expected = insert_torch(values, weights, rotations, frequencies, PAD * BOX, PAD)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=2e-5)


def test_what_was_there_stays(slices: Slices) -> None:
    values, weights, rotations, frequencies = slices
    volume, density = empty()
    volume += 3
    density += 2
    fresh = empty()
    add_slices(volume, density, values, weights, rotations, frequencies, PAD)
    add_slices(*fresh, values, weights, rotations, frequencies, PAD)
    torch.testing.assert_close(volume - 3, fresh[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(density - 2, fresh[1], rtol=0, atol=1e-5)
