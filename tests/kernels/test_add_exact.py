"""Sums in whole numbers: what slices add, to a quantum, whatever the order, the threads and the device's kernel."""

import numba
import pytest
import torch
from test_insert import BOX, COUNT, PAD, Slices
from test_insert import slices as slices

from cryorbit.fourier.interpolation import add_exact_slices
from cryorbit.kernels.add_exact import add_exact_torch
from cryorbit.kernels.insert import insert_torch

QUANTA = (2.0**-20, 2.0**-18)


def counted(parts: list[Slices]) -> torch.Tensor:
    size = PAD * BOX
    counts = torch.zeros(size, size, size // 2 + 1, 3, dtype=torch.int64)
    for values, weights, rotations, frequencies in parts:
        add_exact_slices(counts, QUANTA, values, weights, rotations, frequencies, PAD)
    return counts


def dealt(slices: Slices, order: torch.Tensor, size: int) -> list[Slices]:
    values, weights, rotations, frequencies = slices
    return [(values[part], weights[part], rotations[part], frequencies) for part in order.split(size)]


@pytest.mark.parametrize("reference", [False, True])
def test_counts_are_the_sums_to_a_quantum_a_slice(slices: Slices, reference: bool) -> None:
    values, weights, rotations, frequencies = slices
    expected, density = insert_torch(
        values.to(torch.complex128), weights.double(), rotations, frequencies, PAD * BOX, PAD
    )
    if reference:
        counts = torch.zeros(PAD * BOX, PAD * BOX, PAD * BOX // 2 + 1, 3, dtype=torch.int64)
        add_exact_torch(counts, QUANTA, values, weights, rotations, frequencies, PAD)
    else:
        counts = counted([slices])
    # each of a few hundred additions rounds by half a quantum at most, and single precision by one part in 2^24
    sums = counts.double() * torch.tensor([QUANTA[0], QUANTA[0], QUANTA[1]])
    torch.testing.assert_close(sums[..., 0], expected.real, rtol=0, atol=100 * QUANTA[0])
    torch.testing.assert_close(sums[..., 1], expected.imag, rtol=0, atol=100 * QUANTA[0])
    torch.testing.assert_close(sums[..., 2], density, rtol=0, atol=100 * QUANTA[1])


def test_the_order_of_the_slices_changes_nothing(slices: Slices, generator: torch.Generator) -> None:
    whole = counted([slices])
    for size in (1, 7):
        assert torch.equal(counted(dealt(slices, torch.randperm(COUNT, generator=generator), size)), whole)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="there is only one thread")
def test_the_number_of_threads_changes_nothing(slices: Slices) -> None:
    before, sums = numba.get_num_threads(), []
    for threads in (1, 2):
        numba.set_num_threads(threads)
        sums.append(counted([slices]))
    numba.set_num_threads(before)
    assert torch.equal(*sums)


def test_what_is_rounded_errs_to_both_sides() -> None:
    """Many values below a quantum add up to their sum, not to nothing and not to more."""
    values = 0.5 + 4 * torch.randn(2000, 1, generator=torch.Generator().manual_seed(4))
    counts = torch.zeros(PAD * BOX, PAD * BOX, PAD * BOX // 2 + 1, 3, dtype=torch.int64)
    # one frequency in the frame's own pose falls on one voxel
    one, point = torch.eye(3).expand(2000, 3, 3), torch.tensor([[3.0, 0.0]])
    add_exact_slices(counts, (2.0, 2.0), values.to(torch.complex64), torch.ones_like(values), one, point, PAD)
    # each errs by at most half a quantum to either side, evenly: their sum by four standard deviations at most
    assert 2 * int(counts[0, 0, 3 * PAD, 0]) == pytest.approx(float(values.sum()), abs=4 * 2 * (2000 / 12) ** 0.5)
