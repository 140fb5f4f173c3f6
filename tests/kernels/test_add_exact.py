"""Sums in whole numbers: what slices add, to a quantum, whatever the order, the threads and the device's kernel."""

import numba
import pytest
import torch
from places import FUSED, IMPLEMENTATIONS, KERNELS, implementation
from test_insert import BOX, COUNT, PAD, Slices
from test_insert import slices as slices

from cryorbit.fourier.interpolation import add_exact_slices
from cryorbit.kernels.insert import insert_torch
from cryorbit.kernels.table import ADD_EXACT

QUANTA = (2.0**-20, 2.0**-18)


def empty(planes: int = PAD * BOX) -> torch.Tensor:
    size = PAD * BOX
    return torch.zeros(planes, size, size // 2 + 1, 3, dtype=torch.int64)


def counted(parts: list[Slices], place: str = "cpu") -> torch.Tensor:
    counts = empty()
    for values, weights, rotations, frequencies in parts:
        implementation(ADD_EXACT, place)(counts, QUANTA, values, weights, rotations, frequencies, PAD)
    return counts


def dealt(slices: Slices, order: torch.Tensor, size: int) -> list[Slices]:
    values, weights, rotations, frequencies = slices
    return [(values[part], weights[part], rotations[part], frequencies) for part in order.split(size)]


@pytest.mark.parametrize("place", IMPLEMENTATIONS)
def test_counts_are_the_sums_to_a_quantum_a_slice(slices: Slices, place: str) -> None:
    values, weights, rotations, frequencies = slices
    expected, density = insert_torch(
        values.to(torch.complex128), weights.double(), rotations, frequencies, PAD * BOX, PAD
    )
    # each of a few hundred additions rounds by half a quantum at most, and single precision by one part in 2^24
    sums = counted([slices], place).double() * torch.tensor([QUANTA[0], QUANTA[0], QUANTA[1]])
    torch.testing.assert_close(sums[..., 0], expected.real, rtol=0, atol=100 * QUANTA[0])
    torch.testing.assert_close(sums[..., 1], expected.imag, rtol=0, atol=100 * QUANTA[0])
    torch.testing.assert_close(sums[..., 2], density, rtol=0, atol=100 * QUANTA[1])


@pytest.mark.parametrize("place", KERNELS)
def test_the_order_of_the_slices_changes_nothing(slices: Slices, generator: torch.Generator, place: str) -> None:
    whole = counted([slices], place)
    for size in (1, 7):
        assert torch.equal(counted(dealt(slices, torch.randperm(COUNT, generator=generator), size), place), whole)


@pytest.mark.parametrize("place", ["cpu", FUSED])
def test_the_kernel_counts_what_the_reference_counts_where_nothing_is_rounded_before(place: str) -> None:
    """Shares of quarters and whole values: products are exact, and halves are rounded to even ones by all."""
    points = torch.tensor([[1.25, 0.0], [2.0, -0.75], [0.5, 3.25]]) / PAD
    values = torch.arange(-9.0, 9.0).reshape(-1, 3).to(torch.complex64) * (1 + 2j)
    one = torch.eye(3).expand(len(values), 3, 3)
    sums = empty(), empty()
    for each, counts in zip(("reference", place), sums, strict=True):
        implementation(ADD_EXACT, each)(counts, (0.5, 2.0), values, values.real.contiguous(), one, points, PAD)
    assert torch.equal(*sums)
    assert sums[0].count_nonzero() > 10


@pytest.mark.parametrize("place", KERNELS)
def test_slices_of_a_plane_need_its_two_planes_alone(place: str, slices: Slices) -> None:
    values, weights, _, frequencies = slices
    angles = torch.linspace(0, 6, COUNT)
    turns = torch.zeros(COUNT, 3, 3)
    turns[:, 2, 2] = 1
    turns[:, 0, 0] = turns[:, 1, 1] = angles.cos()
    turns[:, 0, 1], turns[:, 1, 0] = angles.sin(), -angles.sin()
    whole, plane = empty(), empty(planes=2)
    for counts in (whole, plane):
        implementation(ADD_EXACT, place)(counts, QUANTA, values, weights, turns, frequencies, PAD)
    assert torch.equal(plane, whole[:2])
    assert plane[0].any()
    assert not plane[1].any()


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="there is only one thread")
def test_the_number_of_threads_changes_nothing(slices: Slices) -> None:
    before, sums = numba.get_num_threads(), []
    for threads in (1, 2):
        numba.set_num_threads(threads)
        sums.append(counted([slices]))
    numba.set_num_threads(before)
    assert torch.equal(*sums)


def test_the_kernel_of_the_place_is_chosen(slices: Slices) -> None:
    counts = empty()
    values, weights, rotations, frequencies = slices
    add_exact_slices(counts, QUANTA, values, weights, rotations, frequencies, PAD)
    assert torch.equal(counts, counted([slices]))


@pytest.mark.parametrize("place", KERNELS)
def test_what_is_rounded_errs_to_both_sides(place: str) -> None:
    """Many values below a quantum add up to their sum, not to nothing and not to more."""
    values = 0.5 + 4 * torch.randn(2000, 1, generator=torch.Generator().manual_seed(4))
    counts = empty()
    # one frequency in the frame's own pose falls on one voxel
    one, point = torch.eye(3).expand(2000, 3, 3), torch.tensor([[3.0, 0.0]])
    add = implementation(ADD_EXACT, place)
    add(counts, (2.0, 2.0), values.to(torch.complex64), torch.ones_like(values), one, point, PAD)
    # each errs by at most half a quantum to either side, evenly: their sum by four standard deviations at most
    assert 2 * int(counts[0, 0, 3 * PAD, 0]) == pytest.approx(float(values.sum()), abs=4 * 2 * (2000 / 12) ** 0.5)
