"""Estimated moments against those of the model, within their own standard errors; sums that add."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cryorbit.imaging.observations import observe
from cryorbit.imaging.transfer import Transfer
from cryorbit.moments.analytic import slice_moments
from cryorbit.moments.empirical import MomentSums, add_up
from cryorbit.moments.pair import Moments, coefficient_products, complex_vectors, real_vectors

COUNT = 20_000


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def deviations(found: Moments, expected: Moments, errors: Moments) -> Tensor:
    """Distances in standard errors, each entry of the symmetric second moment once."""
    upper = torch.triu(torch.ones_like(expected.second)).bool()
    first = (found.first - expected.first) / errors.first
    return torch.cat([first, ((found.second - expected.second) / errors.second)[upper]])


@settings(deadline=None, max_examples=15, derandomize=True)
@given(size=st.integers(2, 6), nodes=st.integers(1, 5), noise=st.sampled_from([0.1, 1.0, 5.0]), seed=st.integers(0, 99))
def test_estimates_agree_with_the_model_within_four_standard_errors(
    size: int, nodes: int, noise: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    slices, density = draw(nodes, size, seed=seed), draw(nodes, seed=seed + 1).softmax(0)
    clean = slices[torch.multinomial(density, COUNT, replacement=True, generator=generator)]
    variance = noise**2 * (0.5 + torch.rand(size, generator=generator, dtype=torch.float64))
    ctf = 0.2 + draw(COUNT, size, seed=seed + 2)
    measured = ctf * clean + variance.sqrt() * draw(COUNT, size, seed=seed + 3)
    sums = MomentSums.of(ctf * measured / variance, ctf**2 / variance)
    found = deviations(sums.moments(), slice_moments(slices, density), sums.standard_errors())
    assert found.abs().max() < 4


def test_standard_errors_are_the_spread_of_the_estimates() -> None:
    slices, density, weight = draw(3, 4, seed=0), torch.tensor([0.2, 0.3, 0.5]).double(), torch.full((1, 4), 0.25)
    generator = torch.Generator().manual_seed(1)
    found = []
    for seed in range(400):
        clean = slices[torch.multinomial(density, 500, replacement=True, generator=generator)]
        data = weight * (clean + 2.0 * draw(500, 4, seed=seed))
        sums = MomentSums.of(data, weight.double())
        found.append(deviations(sums.moments(), slice_moments(slices, density), sums.standard_errors()))
    scores = torch.stack(found)
    # of 400 draws, the mean of a score strays by 1 / 20 and its variance by 1 / 14
    assert scores.mean(0).abs().max() < 4 / 20
    assert (scores.var(0) - 1).abs().max() < 4 / 14


def test_images_with_ctf_and_coloured_noise_give_the_moments_of_their_clean_coefficients() -> None:
    count, size = 40_000, 3
    generator = torch.Generator().manual_seed(5)
    slices = torch.complex(draw(4, size, seed=1), draw(4, size, seed=2))
    density = torch.tensor([0.1, 0.2, 0.3, 0.4]).double()
    clean = slices[torch.multinomial(density, count, replacement=True, generator=generator)]
    variance = torch.tensor([0.5, 1.0, 3.0]).double()
    ctf = torch.rand(count, size, generator=generator, dtype=torch.float64) - 0.3
    # the noise of a coefficient of a real image has half its variance in either part
    noise = torch.complex(draw(count, size, seed=3), draw(count, size, seed=4)) * (variance / 2).sqrt()
    sums = MomentSums.of_images(observe(ctf * clean + noise, Transfer(ctf), variance))
    with_conjugate, without = coefficient_products(sums.moments().second)
    expected = torch.einsum("i,ik,il->kl", density.to(slices), slices, slices.conj())
    error = sums.standard_errors().second.max()
    assert (with_conjugate - expected).abs().max() < 6 * error
    assert (without - torch.einsum("i,ik,il->kl", density.to(slices), slices, slices)).abs().max() < 6 * error
    # the average without the conjugate is another one
    assert (without - expected).abs().max() > 20 * error
    first = complex_vectors(sums.moments().first)
    assert (first - density.to(slices) @ slices).abs().max() < 6 * sums.standard_errors().first.max()


@settings(deadline=None, max_examples=20)
@given(cut=st.integers(1, 29), seed=st.integers(0, 99), shared=st.booleans())
def test_sums_of_chunks_are_the_sums_of_all(cut: int, seed: int, *, shared: bool) -> None:
    data, weight = draw(30, 4, seed=seed), draw(1 if shared else 30, 4, seed=seed + 1).square()
    rows = [slice(0, cut), slice(cut, 30)]
    parts = (MomentSums.of(data[each], weight if shared else weight[each]) for each in rows)
    added, whole = add_up(parts), MomentSums.of(data, weight)
    assert added.count == 30
    for name in ("data", "data_products", "weight", "weight_products", "squares", "square_products"):
        torch.testing.assert_close(getattr(added, name), getattr(whole, name))


def test_what_no_ctf_shows_is_damped() -> None:
    weight = torch.tensor([[1.0, 0.0]]).double()
    sums = MomentSums.of(draw(10, 2, seed=0) * weight, weight)
    assert torch.isfinite(sums.moments().second).all()
    assert sums.moments().second[1].tolist() == [0.0, 0.0]


@settings(deadline=None, max_examples=20)
@given(size=st.integers(1, 5), seed=st.integers(0, 99))
def test_real_vectors_hold_both_products_of_coefficients(size: int, seed: int) -> None:
    values = torch.complex(draw(7, size, seed=seed), draw(7, size, seed=seed + 1))
    vectors = real_vectors(values)
    torch.testing.assert_close(complex_vectors(vectors), values)
    with_conjugate, without = coefficient_products(vectors.mT @ vectors)
    torch.testing.assert_close(with_conjugate, values.mT @ values.conj())
    torch.testing.assert_close(without, values.mT @ values)


def test_float32_data_are_summed_in_float64() -> None:
    data = draw(10, 3, seed=0).float()
    sums = MomentSums.of(data, torch.ones(1, 3))
    assert sums.data_products.dtype == torch.float64
    assert sums.moments().second.diagonal() == pytest.approx((data.square().mean(0) - 1).numpy(), abs=1e-5)
