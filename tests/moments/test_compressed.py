"""Compression of moments: subspaces found in one pass, moments of projected observations, third moments."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cryorbit.moments.analytic import slice_moments
from cryorbit.moments.compressed import ColumnSums, RangeSums, Subspace, ThirdSums, leading_subspace, noise_edge
from cryorbit.moments.empirical import MomentSums

LARGE, RANK = 400, 5


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def outside(vectors: Tensor, subspace: Subspace) -> float:
    """Part of the vectors that a subspace leaves out."""
    rest = vectors - subspace.project(vectors) @ subspace.basis.mT
    return float(rest.norm() / vectors.norm())


def test_the_range_of_a_large_second_moment_is_found_without_forming_it() -> None:
    slices, probes = draw(RANK, LARGE, seed=0), draw(LARGE, 2 * RANK, seed=1)
    data = slices.repeat(4, 1)
    # whitened observations carry unit noise; here every one is joined by what makes its noise average exactly 1
    sums = RangeSums.of(data, probes) + RangeSums.of(-data, probes)
    unit = RangeSums(sums.count, probes, sums.products + sums.count * probes)
    found = unit.subspace(1e-20)
    assert found.basis.shape == (LARGE, RANK)
    assert outside(slices, found) < 1e-10
    torch.testing.assert_close(found.basis.mT @ found.basis, torch.eye(RANK).double())


def test_a_noisy_range_and_the_moments_in_it_agree_with_the_model() -> None:
    count = 20_000
    generator = torch.Generator().manual_seed(0)
    slices, density = 3 * draw(3, 60, seed=0), torch.tensor([0.2, 0.3, 0.5]).double()
    drawn = torch.multinomial(density, count, replacement=True, generator=generator)
    whitened = slices[drawn] + draw(count, 60, seed=1)
    subspace = RangeSums.of(whitened, draw(60, 8, seed=2)).subspace(1e-3)
    assert outside(slices, subspace) < 0.02
    projected = subspace.project(whitened)
    sums = MomentSums.of(projected, torch.ones(1, projected.shape[1]).double())
    found, errors = sums.moments(), sums.standard_errors()
    exact = subspace.compress(slice_moments(slices, density))
    assert ((found.first - exact.first) / errors.first).abs().max() < 4
    assert ((found.second - exact.second) / errors.second).abs().max() < 4


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 99))
def test_columns_under_ctfs_give_range_and_compressed_moment(seed: int) -> None:
    slices, count = draw(3, 30, seed=seed), 64
    weight = 0.2 + draw(count, 30, seed=seed + 1).square()
    columns = torch.arange(0, 30, 4)
    # every slice under every CTF, and what noise adds on average, so that the estimate is exact
    data = (weight[:, None] * slices).flatten(0, 1)
    weights = weight.repeat_interleave(3, 0)
    sums = ColumnSums.of(data[:96], weights[:96], columns) + ColumnSums.of(data[96:], weights[96:], columns)
    noise = torch.zeros_like(sums.products)
    noise[columns, torch.arange(len(columns))] = weights[:, columns].sum(0)
    exact = ColumnSums(sums.count, columns, sums.products + noise, sums.weights)
    second = slice_moments(slices, torch.full((3,), 1 / 3).double()).second
    torch.testing.assert_close(exact.values(), second[:, columns])
    subspace = exact.subspace(1e-20)
    assert outside(slices, subspace) < 1e-8
    torch.testing.assert_close(exact.second(subspace, 1e-9), subspace.basis.mT @ second @ subspace.basis)


def test_the_leading_subspace_leaves_out_what_is_noise() -> None:
    slices = draw(4, 50, seed=0)
    second = slices.mT @ slices
    errors = torch.full((50, 50), 0.3, dtype=torch.float64)
    noise = torch.triu(draw(50, 50, seed=1) * errors)
    noisy = second + noise + torch.triu(noise, 1).mT
    edge = noise_edge(errors)
    assert math.isclose(edge, 2 * 0.3 * 50**0.5)
    assert float(torch.linalg.eigvalsh(noisy - second).abs().max()) < 1.1 * edge
    found = leading_subspace(noisy, floor=edge)
    assert found.basis.shape == (50, 4)
    assert outside(slices, found) < 0.3
    assert leading_subspace(second, lost=1e-12).basis.shape == (50, 4)
    assert leading_subspace(second, lost=0.5).basis.shape[1] < 4


def test_third_moments_are_free_of_noise() -> None:
    count, slices = 200_000, draw(2, 3, seed=0)
    density = torch.tensor([0.3, 0.7]).double()
    generator = torch.Generator().manual_seed(1)
    data = slices[torch.multinomial(density, count, replacement=True, generator=generator)]
    data = data + draw(count, 3, seed=2)
    sums = ThirdSums.of(data[:1000]) + ThirdSums.of(data[1000:])
    exact = torch.einsum("i,ia,ib,ic->abc", density, slices, slices, slices)
    # an entry's product of three has a spread below that of the largest entry's
    spread = (data[:, :, None, None] * data[:, None, :, None] * data[:, None, None, :]).std(0)
    assert ((sums.moment() - exact) / (spread / count**0.5)).abs().max() < 4
    assert (sums.triples / count - exact).abs().max() > 0.5
