"""The prior of densities: the printed formula, and its derivatives against finite differences."""

import pytest
import torch

from cryorbit.inference.priors import DensityPrior

PRIOR = DensityPrior(0.3, 0.7)


def test_the_energy_is_the_printed_one() -> None:
    volume = torch.zeros(2, 2, 2, dtype=torch.float64)
    volume[0, 0] = torch.tensor([2.0, -3.0])
    torch.testing.assert_close(PRIOR.energy(volume), torch.tensor(0.3 * 2 + 0.7 * 27, dtype=torch.float64))


def test_at_zero_density_the_slope_is_that_from_above() -> None:
    assert PRIOR.gradient(torch.zeros(1, 1, 1)).item() == pytest.approx(0.3)
    assert DensityPrior() == DensityPrior(1e-4, 1e-4)


def test_gradient_and_curvature_are_derivatives(generator: torch.Generator) -> None:
    volume = torch.randn(4, 4, 4, generator=generator, dtype=torch.float64)
    direction = torch.randn(4, 4, 4, generator=generator, dtype=torch.float64)
    # no voxel may change sign on the way: the energy has a kink at zero
    step = 1e-4 * float((volume / direction).abs().min())
    ends = volume + step * direction, volume - step * direction
    slope = (PRIOR.energy(ends[0]) - PRIOR.energy(ends[1])) / (2 * step)
    torch.testing.assert_close((PRIOR.gradient(volume) * direction).sum(), slope, rtol=1e-5, atol=0)
    bend = (PRIOR.gradient(ends[0]) - PRIOR.gradient(ends[1])) / (2 * step)
    torch.testing.assert_close(PRIOR.curvature(volume) * direction, bend, rtol=1e-5, atol=1e-9)
