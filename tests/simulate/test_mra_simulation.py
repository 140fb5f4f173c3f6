"""Simulated multireference alignment: what is drawn is what was asked for."""

import pytest
import torch

from cryorbit.simulate.mra import draw_observations, gaussian_pulse, mixture_density


def test_the_pulse_is_a_gaussian_of_norm_one_in_the_middle() -> None:
    pulse = gaussian_pulse(16, 2.0)[0]
    assert pulse.norm().item() == pytest.approx(1.0)
    assert int(pulse.argmax()) == 8
    torch.testing.assert_close(pulse[10] / pulse[8], torch.tensor(-0.5, dtype=torch.float64).exp())


def test_the_density_is_periodic_and_has_two_equal_modes() -> None:
    density = mixture_density(16, (0.0, 8.0), 2.0)
    assert density.sum().item() == pytest.approx(1.0)
    torch.testing.assert_close(density, density.roll(8))
    torch.testing.assert_close(density[1:], density[1:].flip(0))
    assert density.argmax() in (0, 8)


def test_observations_are_windows_of_shifted_copies_in_noise() -> None:
    signal = torch.randn(2, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    density = mixture_density(8, (2.0, 5.0), 1.0)
    drawn = draw_observations(signal, density, 5, 0.3, 40_000, torch.Generator().manual_seed(1))
    clean = torch.stack([signal.roll(shift, 1)[:, :5] for shift in range(8)])[drawn.shifts]
    noise = drawn.data - clean
    assert noise.std().item() == pytest.approx(0.3, rel=0.01)
    assert abs(noise.mean()) < 0.002
    shares = torch.bincount(drawn.shifts, minlength=8) / 40_000
    torch.testing.assert_close(shares.double(), density, rtol=0, atol=0.01)
    again = draw_observations(signal, density, 5, 0.3, 40_000, torch.Generator().manual_seed(1))
    assert torch.equal(again.data, drawn.data)
