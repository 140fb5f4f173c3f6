"""Multireference alignment from moments: the spectral method and least squares, on exact and on noisy moments."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.imaging.windowed_shifts import WindowedShifts
from cryorbit.moments.empirical import MomentSums
from cryorbit.moments.fit import Target, fit_gauss_newton, fit_lbfgs
from cryorbit.moments.losses import kam_loss, shift_error
from cryorbit.moments.mra import shift_moments
from cryorbit.moments.mra_fit import MRAProblem
from cryorbit.moments.pair import Moments
from cryorbit.moments.spectral import spectral_solution


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def problem(length: int, seed: int, window: int | None = None) -> tuple[Tensor, Tensor, WindowedShifts]:
    signal, density = draw(1, length, seed=seed), draw(length, seed=seed + 1).softmax(0)
    return signal, density, WindowedShifts.of(length, window or length, signal)


@settings(deadline=None, max_examples=20)
@given(length=st.integers(3, 12), seed=st.integers(0, 1000))
def test_the_spectral_method_inverts_exact_moments(length: int, seed: int) -> None:
    signal, density, shifts = problem(length, seed)
    moments = shift_moments(signal, density, shifts)
    found, found_density = spectral_solution(moments)
    assert float(shift_error(found, signal[0])) < 1e-5
    assert float(kam_loss(shift_moments(found[None], found_density, shifts), moments)) < 1e-5


def test_a_signal_of_few_frequencies_keeps_its_power_spectrum() -> None:
    _, density, shifts = problem(16, 5)
    signal = torch.fft.irfft(torch.fft.rfft(draw(1, 16, seed=0))[:, :4], n=16)
    found, _ = spectral_solution(shift_moments(signal, density, shifts))
    torch.testing.assert_close(torch.fft.rfft(found).abs(), torch.fft.rfft(signal[0]).abs(), rtol=1e-5, atol=1e-5)


def test_moments_without_power_are_told() -> None:
    with pytest.raises(InputError, match="no frequency rises above the noise"):
        spectral_solution(Moments(torch.zeros(4).double(), -torch.eye(4).double()))


def test_random_starts_find_a_signal_through_a_window() -> None:
    signal, density, shifts = problem(8, 3, window=7)
    target = Target.relative(shift_moments(signal, density, shifts))
    found = MRAProblem(target, shifts).solve(3, torch.Generator().manual_seed(0))
    assert found.fit.cost < 1e-20
    assert float(shift_error(found.signal[0], signal[0])) < 1e-6
    assert float(shift_error(found.density, density)) < 1e-6


def test_a_complex_signal_is_found() -> None:
    signal, density = draw(2, 6, seed=5), draw(6, seed=6).softmax(0)
    shifts = WindowedShifts.of(6, 6, signal)
    target = Target.relative(shift_moments(signal, density, shifts))
    found = MRAProblem(target, shifts, channels=2).solve(4, torch.Generator().manual_seed(0))
    turns = torch.stack([found.signal.roll(by, 1) for by in range(6)])
    assert found.fit.cost < 1e-20
    assert float((turns - signal).flatten(1).norm(dim=1).min() / signal.norm()) < 1e-6


def test_noisy_moments_are_fitted_as_well_as_their_errors_allow() -> None:
    count, sigma = 100_000, 1.0
    signal, density, shifts = problem(8, 1)
    generator = torch.Generator().manual_seed(2)
    drawn = torch.multinomial(density, count, replacement=True, generator=generator)
    data = shifts.project(signal)[drawn, 0] + sigma * draw(count, 8, seed=3)
    sums = MomentSums.of(data / sigma**2, torch.full((1, 8), sigma**-2).double())
    moments, errors = sums.moments(), sums.standard_errors()
    found = MRAProblem(Target.statistical(moments, errors), shifts).solve(0, generator)
    started = spectral_solution(moments)[0]
    assert float(shift_error(found.signal[0], signal[0])) < 0.02
    assert float(shift_error(found.signal[0], signal[0])) < float(shift_error(started, signal[0]))
    # squares of 44 residuals, of which 15 are fitted; noise in entries is not quite independent
    assert 10 < 2 * found.fit.cost < 70


def test_both_ways_of_fitting_come_to_the_same() -> None:
    signal, density, shifts = problem(6, 7)
    target = Target.relative(shift_moments(signal, density, shifts))
    inverse = MRAProblem(target, shifts)
    start = torch.cat([signal[0], density.log()]) + 0.1 * draw(12, seed=0)
    newton, quasi = fit_gauss_newton(inverse.residuals, start), fit_lbfgs(inverse.residuals, start)
    assert newton.cost < 1e-24
    assert quasi.cost < 1e-12
    assert newton.evaluations < quasi.evaluations
    torch.testing.assert_close(inverse.moments(newton.parameters).second, target.moments.second)


def test_residuals_are_frobenius_norms() -> None:
    signal, density, shifts = problem(5, 9)
    exact, other = shift_moments(signal, density, shifts), shift_moments(signal.flip(1), density, shifts)
    squares = Target.relative(exact).residuals(other).square().sum()
    first, second = (exact.first - other.first).norm(), (exact.second - other.second).norm()
    expected = (first / exact.first.norm()) ** 2 + (second / exact.second.norm()) ** 2
    torch.testing.assert_close(squares, expected)
