"""Weights, the B-factor put into a map and found again, and the sharpened map."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_halves import fading, noisy_halves

from cryorbit.evaluation.fsc import fourier_shell_correlation
from cryorbit.evaluation.sharpening import fit_b_factor, sharpen, signal_weights
from cryorbit.fourier.shells import shell_indices

BOX, PIXEL_SIZE = 64, 1.5


def white(generator: torch.Generator) -> torch.Tensor:
    """A map with the same power in all shells."""
    return torch.randn(BOX, BOX, BOX, generator=generator)


@settings(deadline=None, max_examples=10)
@given(b_factor=st.floats(0, 200), seed=st.integers(0, 100))
def test_b_factor_is_found_again(b_factor: float, seed: int) -> None:
    volume = fading(white(torch.Generator().manual_seed(seed)), PIXEL_SIZE, b_factor)
    fit = fit_b_factor(volume, torch.ones(BOX // 2 + 1), PIXEL_SIZE, 3.0)
    assert fit is not None
    assert fit.b_factor == pytest.approx(-b_factor, abs=2.0)
    assert fit.from_A == 10.0


def test_noise_does_not_hide_the_b_factor(generator: torch.Generator) -> None:
    halves = noisy_halves(fading(white(generator), PIXEL_SIZE, 80.0), 0.3, generator)
    correlation = fourier_shell_correlation(halves[0], halves[1])
    fit = fit_b_factor(halves.mean(0), signal_weights(correlation), PIXEL_SIZE, 4.0)
    unweighted = fit_b_factor(halves.mean(0), torch.ones(BOX // 2 + 1), PIXEL_SIZE, 4.0)
    assert fit is not None
    assert unweighted is not None
    assert fit.b_factor == pytest.approx(-80.0, abs=5.0)
    assert unweighted.b_factor > -75.0


def test_fit_starts_lower_or_not_at_all_when_shells_are_few(generator: torch.Generator) -> None:
    volume, even = fading(white(generator), PIXEL_SIZE, 50.0), torch.ones(BOX // 2 + 1)
    poor = fit_b_factor(volume, even, PIXEL_SIZE, 9.0)
    assert poor is not None
    assert poor.from_A == 15.0
    assert fit_b_factor(volume, even, PIXEL_SIZE, 12.0) is None


def test_sharpening_undoes_the_fall_off_up_to_the_resolution(generator: torch.Generator) -> None:
    volume = white(generator)
    even = torch.ones(BOX // 2 + 1)
    restored = sharpen(fading(volume, PIXEL_SIZE, 100.0), even, -100.0, PIXEL_SIZE, BOX * PIXEL_SIZE / 20)
    before, after = torch.fft.rfftn(volume), torch.fft.rfftn(restored)
    shells = shell_indices(BOX)
    torch.testing.assert_close(after[shells < 19], before[shells < 19], atol=1e-2, rtol=1e-3)
    assert float(after[shells > 21].abs().max()) < 1e-2 < float(before[shells > 21].abs().mean())


def test_weights_are_those_of_the_correlation_with_the_truth() -> None:
    weights = signal_weights(torch.tensor([1.0, 1.0, 0.143, 1 / 3, -0.1, 0.5]))
    torch.testing.assert_close(weights, torch.tensor([1.0, 1.0, 0.5002, 0.7071, 0.0, 0.0]), atol=1e-4, rtol=0)
