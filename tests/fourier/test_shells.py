"""Shells: every coefficient once, sums by hand, and Parseval with the half spectrum's weights."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryorbit.fourier.shells import half_spectrum_weights, ring_indices, shell_indices, shell_sums


@pytest.mark.parametrize(("indices", "dimensions"), [(ring_indices, 2), (shell_indices, 3)])
def test_indices_are_rounded_lengths(indices, dimensions: int) -> None:
    shells = indices(8)
    assert shells.shape == (8,) * (dimensions - 1) + (5,)
    position = (0,) * (dimensions - 2)
    assert [int(shells[(*position, 0, x)]) for x in range(5)] == [0, 1, 2, 3, 4]
    # wrapped order: index 7 is the frequency -1
    assert int(shells[(*position, 7, 0)]) == 1
    assert int(shells[(*position, 6, 2)]) == 3  # sqrt 8 = 2.83


def test_number_of_coefficients_in_the_first_shells() -> None:
    weights = half_spectrum_weights(8)
    counts = shell_sums(weights.expand(8, 8, 5).flatten(), shell_indices(8).flatten(), 3)
    # lengths 1 and sqrt 2 (6 + 12) round to 1; sqrt 3, 2, sqrt 5 and sqrt 6 (8 + 6 + 24 + 24) to 2
    assert counts.tolist() == [1, 18, 62]


@settings(deadline=None, max_examples=30)
@given(box=st.integers(3, 9), batch=st.integers(1, 3), seed=st.integers(0, 1000))
def test_weighted_power_is_parseval(box: int, batch: int, seed: int) -> None:
    images = torch.randn(batch, box, box, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    power = torch.fft.rfft2(images, norm="ortho").abs().square() * half_spectrum_weights(box)
    sums = shell_sums(power.flatten(1), ring_indices(box).flatten(), 2 * box)
    assert sums.shape == (batch, 2 * box)
    torch.testing.assert_close(sums.sum(-1), images.square().sum((-1, -2)), rtol=1e-12, atol=0)


def test_higher_shells_are_left_out() -> None:
    sums = shell_sums(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 1, 7]), 2)
    assert sums.tolist() == [1.0, 2.0]
