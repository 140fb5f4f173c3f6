"""Spherical harmonics are those of the books, and turn as rotations say."""

import math

import pytest
import torch

from cryorbit.geometry.harmonics import real_harmonics, turning_matrices
from cryorbit.geometry.rotations import euler_to_matrix, random_rotations
from cryorbit.geometry.sphere_quadrature import lebedev

POLES = torch.tensor([[0.0, 0.0], [90.0, 0.0], [-30.0, 180.0], [40.0, 180.0]], dtype=torch.float64)


def directions(count, seed=0):
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_low_degrees_are_the_polynomials_of_the_books():
    points = torch.nn.functional.normalize(directions(20), dim=-1)
    x, y, z = points.unbind(-1)
    one, two = math.sqrt(3 / (4 * math.pi)), math.sqrt(15 / (4 * math.pi))
    expected = [
        torch.full_like(x, math.sqrt(1 / (4 * math.pi))),
        *(one * y, one * z, one * x),
        *(two * x * y, two * y * z, two / math.sqrt(12) * (3 * z**2 - 1), two * x * z, two / 2 * (x**2 - y**2)),
    ]
    torch.testing.assert_close(real_harmonics(points, 2), torch.stack(expected, -1), atol=1e-14, rtol=0)


def test_harmonics_are_orthonormal():
    rule = lebedev(21)
    values = real_harmonics(rule.directions, 10)
    gram = 4 * math.pi * values.mT @ (rule.weights[:, None] * values)
    torch.testing.assert_close(gram, torch.eye(121, dtype=torch.float64), atol=1e-12, rtol=0)


def test_length_does_not_count_and_the_null_vector_is_z():
    points = directions(4)
    torch.testing.assert_close(real_harmonics(3 * points, 4), real_harmonics(points, 4), atol=1e-14, rtol=0)
    null, pole = torch.zeros(3, dtype=torch.float64), torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    assert torch.equal(real_harmonics(null, 4), real_harmonics(pole, 4))


@pytest.mark.parametrize("degree", [0, 1, 7, 24])
def test_turning_matrices_turn_harmonics(degree):
    euler = torch.cat([POLES, torch.zeros(4, 1)], 1)
    rotations = torch.cat([random_rotations(5, torch.Generator().manual_seed(1)), euler_to_matrix(euler)])
    points = directions(6)
    moved = real_harmonics(torch.einsum("gji,pj->gpi", rotations, points), degree)
    fixed = real_harmonics(points, degree)
    for ell, matrix in enumerate(turning_matrices(rotations, degree)):
        own = slice(ell**2, (ell + 1) ** 2)
        expected = torch.einsum("gmn,pn->gpm", matrix, fixed[:, own])
        torch.testing.assert_close(moved[..., own], expected, atol=3e-13, rtol=0)


def test_turning_matrices_are_orthogonal_and_follow_the_product():
    first, second = random_rotations(2, torch.Generator().manual_seed(2))
    matrices = turning_matrices(torch.stack([first, second, second @ first]), 8)
    for degree, (a, b, product) in enumerate(matrices):
        torch.testing.assert_close(a @ b, product, atol=1e-12, rtol=0)
        torch.testing.assert_close(a @ a.mT, torch.eye(2 * degree + 1, dtype=torch.float64), atol=1e-12, rtol=0)


def test_single_precision_and_batch_axes_are_kept():
    rotations = random_rotations(6, torch.Generator().manual_seed(3)).float().view(2, 3, 3, 3)
    matrices = turning_matrices(rotations, 3)
    assert [each.shape for each in matrices] == [(2, 3, 2 * ell + 1, 2 * ell + 1) for ell in range(4)]
    assert real_harmonics(rotations[..., 0], 3).shape == (2, 3, 16)
    assert matrices[2].dtype == torch.float32
    alone = turning_matrices(rotations[1, 2], 3)[3]
    torch.testing.assert_close(matrices[3][1, 2], alone)
