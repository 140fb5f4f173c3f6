"""Weights, the B-factor put into a map and found again, and the sharpened map."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_halves import fading, noisy_halves

from cryorbit.evaluation.fsc import fourier_shell_correlation
from cryorbit.evaluation.protein_spectrum import protein_log_amplitude
from cryorbit.evaluation.radial_filter import apply_gain, low_pass
from cryorbit.evaluation.sharpening import _weighted_line, fit_b_factor, sharpen, signal_weights
from cryorbit.fourier.shells import shell_indices

BOX, PIXEL_SIZE = 64, 1.5


def white(generator: torch.Generator) -> torch.Tensor:
    """A map with the same power in all shells."""
    return torch.randn(BOX, BOX, BOX, generator=generator)


def protein(generator: torch.Generator) -> torch.Tensor:
    """A map with the power of a protein that has not faded."""
    frequency = torch.arange(BOX // 2 + 1).double() / (BOX * PIXEL_SIZE)
    return apply_gain(white(generator), protein_log_amplitude(frequency).exp())


@settings(deadline=None, max_examples=10)
@given(b_factor=st.floats(0, 200), seed=st.integers(0, 100))
def test_b_factor_is_found_again(b_factor: float, seed: int) -> None:
    volume = fading(protein(torch.Generator().manual_seed(seed)), PIXEL_SIZE, b_factor)
    fit = fit_b_factor(volume, torch.ones(BOX // 2 + 1), PIXEL_SIZE, 3.0)
    assert fit is not None
    assert fit.b_factor == pytest.approx(-b_factor, abs=2.0)
    assert fit.from_A == 10.0


def test_a_protein_is_level_but_for_its_packing() -> None:
    # protein kinase A without its B-factor: a dip at 6.7 A, a peak at 4.5 A
    log_amplitude = protein_log_amplitude(1 / torch.tensor([20.0, 10.0, 6.667, 4.348, 4.0]).double())
    assert log_amplitude.tolist() == pytest.approx([0.0, 0.0, -0.305, 0.025, -0.011], abs=2e-3)


def test_noise_does_not_hide_the_b_factor(generator: torch.Generator) -> None:
    halves = noisy_halves(fading(protein(generator), PIXEL_SIZE, 80.0), 0.3, generator)
    correlation = fourier_shell_correlation(halves[0], halves[1])
    fit = fit_b_factor(halves.mean(0), signal_weights(correlation), PIXEL_SIZE, 4.0)
    unweighted = fit_b_factor(halves.mean(0), torch.ones(BOX // 2 + 1), PIXEL_SIZE, 4.0)
    assert fit is not None
    assert unweighted is not None
    assert fit.b_factor == pytest.approx(-80.0, abs=5.0)
    assert unweighted.b_factor > -75.0


@pytest.mark.parametrize("resolution", [12.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0])
def test_what_has_not_faded_is_not_sharpened(resolution: float, generator: torch.Generator) -> None:
    """Seven shells of a protein slope like a B-factor of hundreds; the error knows it."""
    fit = fit_b_factor(protein(generator), torch.ones(BOX // 2 + 1), PIXEL_SIZE, resolution)
    # four shells of 96 A are needed, 10 to 13
    assert (fit is None) == (resolution > 96 / 13)
    assert fit is None or fit.sure == 0.0


@pytest.mark.parametrize(("shell", "sure"), [(13, 0.0), (16, 30.0), (19, 80.0), (28, 105.0)])
def test_the_farther_a_fit_reaches_the_more_of_it_is_sure(shell: int, sure: float, generator: torch.Generator) -> None:
    resolution = BOX * PIXEL_SIZE / shell
    fit = fit_b_factor(fading(protein(generator), PIXEL_SIZE, 130.0), torch.ones(BOX // 2 + 1), PIXEL_SIZE, resolution)
    assert fit is not None
    assert -130.0 * 1.02 < fit.sure <= -sure
    # 0.3 is how far the logarithm of one protein's amplitudes may be off at the end of the fit
    assert fit.error == pytest.approx(1.2 / (resolution**-2 - 0.01), rel=0.2)


def test_what_the_sampling_takes_near_nyquist_is_no_b_factor(generator: torch.Generator) -> None:
    volume = fading(protein(generator), PIXEL_SIZE, 60.0)
    tapered = apply_gain(volume, low_pass(BOX, PIXEL_SIZE, 2 * PIXEL_SIZE / 0.925, edge=0.15 * BOX / 2))
    plain, fit = (
        fit_b_factor(each, torch.ones(BOX // 2 + 1), PIXEL_SIZE, 2 * PIXEL_SIZE) for each in (volume, tapered)
    )
    assert plain is not None
    assert fit is not None
    assert fit.to_A == pytest.approx(2 * PIXEL_SIZE / 0.85)
    assert fit.b_factor == pytest.approx(plain.b_factor, abs=1.0)
    assert fit.b_factor == pytest.approx(-60.0, abs=3.0)


def test_the_slope_has_the_error_of_its_scatter(generator: torch.Generator) -> None:
    x = torch.linspace(0, 1, 30, dtype=torch.float64)
    weight = torch.rand(30, generator=generator, dtype=torch.float64) + 0.5
    noise = torch.randn(400, 30, generator=generator, dtype=torch.float64) / weight.sqrt()
    found = torch.tensor([_weighted_line(x, 2 - 3 * x + each, weight) for each in noise])
    assert float(found[:, 0].mean()) == pytest.approx(-3, abs=0.15)
    assert float(found[:, 2].square().mean().sqrt()) == pytest.approx(float(found[:, 0].std()), rel=0.1)


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
