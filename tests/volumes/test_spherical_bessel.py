"""The spherical Bessel basis: orthonormal, adjoint, turning with rotations, and true to voxel maps and their slices."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import roots_legendre, spherical_jn

from cryorbit.core.errors import InputError
from cryorbit.fourier.half_disc import half_disc
from cryorbit.geometry.harmonics import turning_matrices
from cryorbit.geometry.rotations import random_rotations
from cryorbit.geometry.sphere_quadrature import lebedev
from cryorbit.imaging.slices import SliceOperator
from cryorbit.volumes.bessel_voxels import from_voxels, to_voxels
from cryorbit.volumes.spherical_bessel import SphericalBessel, bessel_zeros, resolved_basis
from cryorbit.volumes.voxel import resample, working_grid

SMALL = SphericalBessel(7.5, (4, 4, 4, 4))
UNEVEN = SphericalBessel(5.0, (3, 2, 2, 1, 1))


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ball_rule(cutoff, degree):
    """Points and weights of a quadrature on the ball, exact for the angles and to rounding along the radius."""
    nodes, weights = roots_legendre(30)
    radius = torch.from_numpy(cutoff * (nodes + 1) / 2)
    sphere = lebedev(degree)
    points = (radius[:, None, None] * sphere.directions).flatten(0, 1)
    along = torch.from_numpy(weights * cutoff / 2) * radius**2
    return points, (4 * math.pi * along[:, None] * sphere.weights).flatten()


def test_three_degrees_and_four_radial_functions_have_64_coefficients():
    assert SMALL.size == 64
    assert SMALL.degree == 3
    assert [part.shape for part in SMALL.split(numbers(2, 64))] == [(2, 2 * ell + 1, 4) for ell in range(4)]


def test_zeros_are_zeros_and_none_is_left_out():
    zeros = bessel_zeros(12, 9)
    for ell, row in enumerate(zeros):
        assert np.abs(spherical_jn(ell, row)).max() < 1e-13
        grid = np.linspace(1e-3 if ell == 0 else ell, row[-1] + 0.05, 4000)
        assert (np.diff(np.sign(spherical_jn(ell, grid))) != 0).sum() == 9
    np.testing.assert_allclose(zeros[0], np.pi * np.arange(1, 10), rtol=1e-15)
    np.testing.assert_allclose(zeros[1, :2], [4.493409457909064, 7.725251836937707], rtol=1e-12)


def test_functions_are_orthonormal_on_the_ball():
    points, weights = ball_rule(UNEVEN.cutoff, 9)
    functions = UNEVEN.functions(points)
    odd = UNEVEN.odd(points)
    gram = ((functions * weights) @ functions.mT).masked_fill(odd != odd[:, None], 0.0)
    torch.testing.assert_close(gram, torch.eye(UNEVEN.size, dtype=torch.float64), atol=1e-12, rtol=0)


def test_nothing_is_beyond_the_cutoff():
    points = torch.tensor([[0.0, 0.0, 7.5], [6.0, 6.0, 6.0], [0.0, 7.4, 0.0]], dtype=torch.float64)
    assert (SMALL.functions(points) != 0).any(0).tolist() == [False, False, True]


def test_opposite_frequencies_are_conjugates():
    points = 3 * numbers(11, 3)
    values = SMALL.evaluate(numbers(2, 64, seed=1), points)
    torch.testing.assert_close(SMALL.evaluate(numbers(2, 64, seed=1), -points), values.conj(), atol=1e-13, rtol=0)


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=10)
def test_adjoint(seed):
    points, coefficients = 2 * numbers(9, 3, seed=seed), numbers(2, UNEVEN.size, seed=seed + 1)
    values = torch.complex(numbers(2, 9, seed=seed + 2), numbers(2, 9, seed=seed + 3))
    left = (UNEVEN.evaluate(coefficients, points).conj() * values).real.sum()
    torch.testing.assert_close(left, (coefficients * UNEVEN.adjoint(values, points)).sum(), atol=1e-12, rtol=1e-12)


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=10)
def test_turned_coefficients_are_the_volume_at_turned_points(seed):
    rotations = random_rotations(3, torch.Generator().manual_seed(seed))
    points, coefficients = 2 * numbers(8, 3, seed=seed), numbers(UNEVEN.size, seed=seed + 1)
    turned = UNEVEN.evaluate(UNEVEN.rotate(coefficients, rotations), points)
    for each, rotation in zip(turned, rotations, strict=True):
        torch.testing.assert_close(each, UNEVEN.evaluate(coefficients, points @ rotation), atol=1e-12, rtol=0)


def test_turning_back_is_the_adjoint_of_turning():
    matrices = turning_matrices(random_rotations(5, torch.Generator().manual_seed(0)), UNEVEN.degree)
    coefficients, other = numbers(2, UNEVEN.size), numbers(2, 5, UNEVEN.size, seed=1)
    left = (UNEVEN.turn(coefficients, matrices) * other).sum()
    torch.testing.assert_close(left, (coefficients * UNEVEN.turn_back(other, matrices)).sum(), atol=1e-12, rtol=0)


def test_chunks_change_nothing(monkeypatch):
    points, coefficients = 2 * numbers(50, 3), numbers(UNEVEN.size)
    whole = UNEVEN.evaluate(coefficients, points)
    monkeypatch.setattr("cryorbit.volumes.spherical_bessel.BATCH_BYTES", 20_000)
    assert len(UNEVEN.in_chunks(points)) > 3
    torch.testing.assert_close(UNEVEN.evaluate(coefficients, points), whole, atol=1e-14, rtol=0)
    back = UNEVEN.adjoint(whole, points)
    monkeypatch.undo()
    torch.testing.assert_close(back, UNEVEN.adjoint(whole, points), atol=1e-12, rtol=0)


def test_there_and_back_by_voxels():
    coefficients = numbers(2, 64)
    maps = to_voxels(SMALL, coefficients, 16)
    assert maps.dtype == torch.float64
    torch.testing.assert_close(from_voxels(SMALL, maps), coefficients, atol=1e-11, rtol=0)


def test_fit_of_a_map_is_the_best():
    volume = numbers(16, 16, 16)
    fitted = from_voxels(SMALL, volume)
    rest = volume - to_voxels(SMALL, fitted, 16)
    for step in 0.01 * numbers(5, 64, seed=1):
        assert (rest - to_voxels(SMALL, step, 16)).norm() > rest.norm()
    torch.testing.assert_close(from_voxels(SMALL, rest), torch.zeros_like(fitted), atol=1e-11, rtol=0)


def test_a_gaussian_at_a_place_comes_to_that_place():
    line = torch.arange(32, dtype=torch.float64) - 16
    z, y, x = torch.meshgrid(line, line, line, indexing="ij")
    volume = torch.exp(-((x - 3) ** 2 + (y + 2) ** 2 + (z - 1) ** 2) / (2 * 3**2))
    basis = resolved_basis(7.0, 0.45)
    again = to_voxels(basis, from_voxels(basis, volume), 32)
    assert (again - volume).norm() < 2e-3 * volume.norm()


def test_slices_agree_with_those_of_voxels():
    """The voxel operator interpolates linearly on a padded grid, which errs by a per cent."""
    basis, box = resolved_basis(11.0, 0.28), 48
    coefficients = from_voxels(basis, blobs(box))
    disc = half_disc(box, 9.0)
    rotations = random_rotations(4, torch.Generator().manual_seed(5))
    exact = basis.evaluate(basis.rotate(coefficients, rotations), flat(disc.frequencies.double()))
    grid = working_grid(box, 20.0)
    volume = resample(to_voxels(basis, coefficients, box), grid.size)
    seen = SliceOperator(grid, disc, rotations).project(volume)
    assert (seen - exact).norm() < 0.01 * exact.norm()
    mirrored = basis.evaluate(basis.rotate(coefficients, rotations.mT), flat(disc.frequencies.double()))
    assert (seen - mirrored).norm() > 0.2 * exact.norm()


def flat(frequencies):
    return torch.nn.functional.pad(frequencies, (0, 1))


def blobs(box):
    """Three unequal blobs about the middle of a box."""
    line = torch.arange(box, dtype=torch.float64) - box // 2
    z, y, x = torch.meshgrid(line, line, line, indexing="ij")
    places = [(4, 0, 0, 1.0), (-2, 5, 1, 0.6), (0, -3, -5, 0.8)]
    return sum(w * torch.exp(-((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) / 18) for a, b, c, w in places)


def test_counts_are_those_of_functions_that_fit_the_box():
    basis = resolved_basis(8.1, 0.5)
    zeros = bessel_zeros(basis.degree + 1, max(basis.counts) + 1)
    for ell, count in enumerate(basis.counts):
        assert zeros[ell, count - 1] < 8.1 * math.pi < zeros[ell, count]
    assert zeros[basis.degree + 1, 0] > 8.1 * math.pi
    assert resolved_basis(8.1, 0.5, degree=2).counts == basis.counts[:3]


def test_single_precision_follows_the_coefficients():
    values = SMALL.evaluate(numbers(64).float(), torch.ones(2, 3))
    assert values.dtype == torch.complex64
    assert to_voxels(SMALL, numbers(64).float(), 16).dtype == torch.float32


def test_what_cannot_be_is_told():
    with pytest.raises(InputError, match="holds no frequencies"):
        to_voxels(SMALL, numbers(64), 12)
    with pytest.raises(InputError, match="does not determine"):
        from_voxels(SphericalBessel(2.0, (9, 9)), numbers(4, 4, 4))
    with pytest.raises(InputError, match="no function"):
        resolved_basis(0.1, 0.5)
