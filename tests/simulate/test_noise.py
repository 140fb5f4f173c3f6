"""Noise of a given spectrum: unit pixel variance, the right colour, reproducible."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryorbit.simulate.noise import coloured_spectrum, draw_noise, white_spectrum


@settings(deadline=None, max_examples=20)
@given(
    box=st.sampled_from([8, 16, 50]),
    corner=st.floats(0.1, 20),
    exponent=st.floats(0.5, 4),
)
def test_mean_power_over_the_full_plane_is_one(box: int, corner: float, exponent: float) -> None:
    half = coloured_spectrum(box, corner, exponent).double()
    full = torch.cat([half, half[:, 1:-1]], 1)
    assert full.shape == (box, box)
    assert float(full.mean()) == pytest.approx(1.0, rel=1e-5)


def test_power_at_the_corner_is_twice_that_far_out() -> None:
    power = coloured_spectrum(64, 4.0, 3.0)
    assert float(power[0, 4] / power[0, 32]) == pytest.approx(2 / (1 + (4 / 32) ** 3), rel=1e-5)
    assert float(power[0, 0]) == 0


def test_white_noise_has_unit_variance(generator: torch.Generator) -> None:
    noise = draw_noise(200, white_spectrum(32), generator)
    # 204,800 values: the standard errors are 0.0022 and 0.0031
    assert abs(float(noise.mean())) < 0.01
    assert abs(float(noise.var()) - 1) < 0.015


def test_coloured_noise_follows_its_spectrum(generator: torch.Generator) -> None:
    spectrum = coloured_spectrum(32, 5.0, 2.0)
    noise = draw_noise(2000, spectrum, generator)
    assert abs(float(noise.var()) - 1) < 0.02
    measured = torch.fft.rfft2(noise, norm="ortho").abs().square().mean(0)
    inside = measured[:, 1:-1] / spectrum[:, 1:-1]
    # the power of a complex coefficient has a relative standard error of 1 / sqrt(2000) = 0.022
    assert (inside - 1).abs().max() < 6 * 0.0224
    assert abs(float(inside.mean()) - 1) < 0.005


def test_same_generator_state_same_noise() -> None:
    first, again = (draw_noise(3, white_spectrum(16), torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, again)
