"""Volumes in a ball: transforms against integrals, maps that stay in the ball, coefficients carried along."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import spherical_jn

from cryorbit.volumes.ball_bessel import ball_basis
from cryorbit.volumes.bessel_voxels import to_voxels
from cryorbit.volumes.spherical_bessel import bessel_zeros


@pytest.mark.parametrize("ell", [0, 1, 4])
@pytest.mark.parametrize("number", [0, 2])
def test_transforms_are_the_integrals_over_the_ball(ell: int, number: int) -> None:
    basis = ball_basis(9.0, 0.3)
    zeros = bessel_zeros(basis.degree, max(basis.counts))
    at_zero = zeros[ell, number] / (2 * math.pi * basis.extent)
    radii = np.array([0.0, 0.7, 3.1, at_zero, 12.0])
    height = math.sqrt(2) * basis.extent**-1.5 / abs(spherical_jn(ell + 1, zeros[ell, number]))

    def transform(k: float) -> float:
        def integrand(r: float) -> float:
            density = height * spherical_jn(ell, zeros[ell, number] * r / basis.extent)
            return 4 * math.pi * density * spherical_jn(ell, 2 * math.pi * k * r) * r**2

        return float(quad(integrand, 0, basis.extent, epsabs=1e-9, epsrel=1e-9)[0])

    found = basis.radial(torch.from_numpy(radii))[ell][number]
    expected = torch.tensor([transform(k) for k in radii], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)


def test_a_map_lies_in_the_ball() -> None:
    box, basis = 48, ball_basis(5.0, 0.25)
    coefficients = torch.randn(basis.size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    # a map holds frequencies up to the cutoff of its basis
    whole = replace(basis, cutoff=box / 2)
    volume = to_voxels(whole, coefficients, box)
    axis = torch.arange(box) - box // 2
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    outside = torch.sqrt((x**2 + y**2 + z**2).double()) > 0.25 * box + 2
    assert float(volume[outside].norm() / volume.norm()) < 0.05


def test_coefficients_carried_to_a_larger_basis_are_the_same_volume() -> None:
    coarse, fine = ball_basis(4.0, 0.3), ball_basis(6.0, 0.3)
    generator = torch.Generator().manual_seed(1)
    coefficients = torch.randn(2, coarse.size, generator=generator, dtype=torch.float64)
    points = torch.randn(20, 3, generator=generator, dtype=torch.float64)
    carried = coarse.carry(coefficients, fine)
    torch.testing.assert_close(fine.evaluate(carried, points), coarse.evaluate(coefficients, points))
    torch.testing.assert_close(fine.carry(carried, coarse), coefficients)
