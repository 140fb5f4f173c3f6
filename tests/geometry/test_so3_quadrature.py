"""Exactness of product rules in Wigner functions.

The mean of ``P_l(u . R v)`` over SO(3) is 0 for l > 0; expanded, it holds every Wigner function of degree l.
"""

import pytest
import torch
from scipy.special import eval_legendre

from cryorbit.geometry.so3_quadrature import RotationRule, product_rule
from cryorbit.geometry.sphere_quadrature import SphereRule, lebedev, spherical_design


def largest_wigner_mean(rule: RotationRule, degree: int, generator: torch.Generator) -> float:
    """Largest modulus of a mean of ``P_l(u . R v)`` over thirty random pairs of unit vectors."""
    u, v = torch.nn.functional.normalize(torch.randn(2, 30, 3, generator=generator, dtype=torch.float64), dim=-1)
    cosines = torch.einsum("ni,rij,nj->rn", u, rule.rotations, v)
    return float((rule.weights @ torch.as_tensor(eval_legendre(degree, cosines.numpy()))).abs().max())


@pytest.mark.parametrize("sphere", [lebedev(5), lebedev(11), spherical_design(100, 13)], ids=len)
def test_exact_to_its_degree(sphere: SphereRule, generator: torch.Generator) -> None:
    rule = product_rule(sphere)
    assert rule.degree == sphere.degree
    assert len(rule) == len(sphere) * (sphere.degree + 1)
    assert max(largest_wigner_mean(rule, ell, generator) for ell in range(1, rule.degree + 1)) < 1e-12
    assert largest_wigner_mean(rule, rule.degree + 1, generator) > 1e-5
    torch.testing.assert_close(rule.weights.sum(), torch.tensor(1.0, dtype=torch.float64))


@pytest.mark.parametrize("in_plane", [4, 7])
def test_too_few_angles_limit_the_degree(in_plane: int, generator: torch.Generator) -> None:
    rule = product_rule(lebedev(11), in_plane)
    assert rule.degree == in_plane - 1
    assert max(largest_wigner_mean(rule, ell, generator) for ell in range(1, in_plane)) < 1e-12
    assert largest_wigner_mean(rule, in_plane, generator) > 1e-3


def test_view_directions_are_those_of_the_sphere_rule() -> None:
    sphere = lebedev(7)
    rule = product_rule(sphere, 3)
    views = rule.rotations[:, 2]
    torch.testing.assert_close(views, sphere.directions.repeat_interleave(3, 0))
