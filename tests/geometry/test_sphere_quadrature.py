"""Exactness of the sphere rules up to their degree, and not beyond."""

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y

from cryorbit.core.errors import InputError
from cryorbit.geometry.sphere_quadrature import LEBEDEV_DEGREES, SphereRule, lebedev, spherical_design


def largest_harmonic_mean(rule: SphereRule, degree: int) -> float:
    """Largest modulus of a weighted mean of a harmonic of exactly this degree, scaled to unit mean square."""
    x, y, z = rule.directions.numpy().T
    order = np.arange(degree + 1)[:, None]
    harmonics = sph_harm_y(degree, order, np.arccos(z), np.arctan2(y, x)) * np.sqrt(4 * np.pi)
    return float(np.abs(harmonics @ rule.weights.numpy()).max())


@pytest.mark.parametrize("degree", [degree for degree in LEBEDEV_DEGREES if degree < 60])
def test_lebedev_is_exact_with_positive_weights(degree: int) -> None:
    rule = lebedev(degree)
    assert (rule.weights > 0).all()
    torch.testing.assert_close(rule.weights.sum(), torch.tensor(1.0, dtype=torch.float64))
    torch.testing.assert_close(rule.directions.norm(dim=1), torch.ones(len(rule), dtype=torch.float64))
    checked = range(1, degree + 1) if degree <= 21 else (1, 2, degree - 1, degree)
    assert max(largest_harmonic_mean(rule, ell) for ell in checked) < 1e-12
    assert largest_harmonic_mean(rule, degree + 1) > 1e-3


@pytest.mark.parametrize("degree", [1, 4, 13, 25, 27, 133])
def test_lebedev_refuses_and_names_a_better_degree(degree: int) -> None:
    with pytest.raises(InputError, match="use "):
        lebedev(degree)


@pytest.mark.parametrize(("count", "degree"), [(12, 5), (48, 9), (100, 13)])
def test_design_is_exact_antipodal_and_spread(count: int, degree: int) -> None:
    rule = spherical_design(count, degree)
    assert rule.directions.shape == (count, 3)
    torch.testing.assert_close(rule.directions[count // 2 :], -rule.directions[: count // 2])
    assert torch.equal(rule.weights, torch.full((count,), 1 / count, dtype=torch.float64))
    assert max(largest_harmonic_mean(rule, ell) for ell in range(1, degree + 1)) < 1e-12
    assert largest_harmonic_mean(rule, degree + 1) > 1e-3
    cosines = rule.directions @ rule.directions.T - 2 * torch.eye(count, dtype=torch.float64)
    nearest = torch.rad2deg(torch.arccos(cosines.max()))
    assert nearest > 0.6 * np.rad2deg(np.sqrt(4 * np.pi / count))


@pytest.mark.parametrize(("count", "degree"), [(13, 5), (100, 12), (20, 13)])
def test_impossible_designs_are_refused(count: int, degree: int) -> None:
    with pytest.raises(InputError):
        spherical_design(count, degree)
