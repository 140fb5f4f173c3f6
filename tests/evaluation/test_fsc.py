"""Fourier shell correlation: known values, what it does not depend on, and how a resolution is read from it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryorbit.evaluation.fsc import FSCCurve, fourier_shell_correlation, fsc_curve, resolution_at
from cryorbit.simulate.phantoms import random_blob_phantom


def curve(values: list[float], box_A: float = 100.0) -> FSCCurve:
    """A curve of a box of ``box_A``."""
    return FSCCurve(torch.arange(len(values)).double() / box_A, torch.tensor(values).double())


@settings(deadline=None, max_examples=20)
@given(scale=st.floats(0.1, 10), seed=st.integers(0, 1000))
def test_equal_up_to_a_positive_factor_and_a_radial_filter(scale: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    volume = torch.randn(12, 12, 12, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(fourier_shell_correlation(volume, scale * volume), torch.ones(7).double())
    torch.testing.assert_close(fourier_shell_correlation(volume, -scale * volume), -torch.ones(7).double())


def test_shell_by_shell_against_the_definition(generator: torch.Generator) -> None:
    a, b = torch.randn(2, 10, 10, 10, generator=generator, dtype=torch.float64)
    axis = torch.fft.fftfreq(10, 0.1, dtype=torch.float64)
    radius = (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).sqrt().round()
    a_k, b_k = torch.fft.fftn(a), torch.fft.fftn(b)
    found = fourier_shell_correlation(a, b)
    for shell in range(6):
        here = radius == shell
        cross = (a_k * b_k.conj())[here].sum().real
        power = (a_k[here].abs().square().sum() * b_k[here].abs().square().sum()).sqrt()
        assert float(found[shell]) == pytest.approx(float(cross / power), abs=1e-12)


def test_known_noise_gives_the_known_correlation(generator: torch.Generator) -> None:
    signal, first, second = torch.randn(3, 48, 48, 48, generator=generator)
    # half-maps of signal power 1 and noise power 1: FSC = 1 / 2
    correlation = fourier_shell_correlation(signal + first, signal + second)
    assert float(correlation[10:].mean()) == pytest.approx(0.5, abs=0.01)
    assert float(fourier_shell_correlation(first, second)[10:].abs().max()) < 0.1


def test_empty_shells_have_correlation_zero() -> None:
    wave = torch.cos(2 * torch.pi * 2 * torch.arange(8) / 8).expand(8, 8, 8)
    correlation = fourier_shell_correlation(wave.double(), torch.zeros(8, 8, 8).double())
    assert correlation.tolist() == [0.0] * 5


def test_mask_hides_what_is_outside(generator: torch.Generator) -> None:
    volume = random_blob_phantom(16, generator)
    spoilt = volume.clone()
    spoilt[:3] += 1.0
    mask = torch.ones_like(volume)
    mask[:3] = 0.0
    assert float(fourier_shell_correlation(volume, spoilt)[1:4].min()) < 0.9
    assert float(fourier_shell_correlation(volume, spoilt, mask)[1:4].min()) == pytest.approx(1.0, abs=1e-6)


def test_frequency_axis_ends_at_nyquist(generator: torch.Generator) -> None:
    volume = random_blob_phantom(16, generator)
    found = fsc_curve(volume, volume, 2.5)
    assert float(found.frequency_per_A[0]) == 0.0
    assert float(found.frequency_per_A[-1]) == pytest.approx(1 / 5.0)


def test_resolution_is_interpolated_in_frequency() -> None:
    # between 0.9 at 2/100 and 0.4 at 3/100 the value 0.5 is reached four fifths of the way
    assert resolution_at(curve([1, 1, 0.9, 0.4, 0.9]), 0.5) == pytest.approx(100 / 2.8)


def test_resolution_is_that_of_the_first_crossing() -> None:
    assert resolution_at(curve([1, 1, 0.0, 0.9, 0.9]), 0.5) == pytest.approx(100 / 1.5)


def test_resolution_of_a_curve_that_never_or_always_is_below() -> None:
    assert resolution_at(curve([1, 1, 0.9, 0.8]), 0.5) == pytest.approx(100 / 3)
    assert resolution_at(curve([1, 0.1, 0.9, 0.8]), 0.5) == pytest.approx(100)


def test_mean_grey_value_does_not_count() -> None:
    assert resolution_at(curve([-1, 1, 0.9, 0.8]), 0.5) == pytest.approx(100 / 3)


def test_shells_without_data_at_the_end_do_not_count() -> None:
    assert resolution_at(curve([1, 1, 0.9, 0.8, 0, 0]), 0.143) == pytest.approx(100 / 3)
    assert resolution_at(curve([1, 0, 0, 0]), 0.143) == pytest.approx(100)
    # an empty shell between others is a disagreement
    assert resolution_at(curve([1, 1, 0.0, 0.9]), 0.5) == pytest.approx(100 / 1.5)
