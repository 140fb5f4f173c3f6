"""Slices in the spherical Bessel basis are those of the volume at turned points, and their maps are exact."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryorbit.geometry.rotations import random_rotations
from cryorbit.studies.paul2024.bessel.plane_coordinates import coordinates_to_images, from_coordinates, odd_plane
from cryorbit.studies.paul2024.bessel.slices import BesselSlices
from cryorbit.volumes.bessel_voxels import to_voxels
from cryorbit.volumes.spherical_bessel import SphericalBessel

BASIS = SphericalBessel(5.0, (3, 2, 2, 1))
PLANE = odd_plane(11)


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slices(count=6, seed=1):
    return BesselSlices.of(BASIS, PLANE, random_rotations(count, torch.Generator().manual_seed(seed)))


def test_slices_are_the_volume_at_turned_points():
    rotations = random_rotations(4, torch.Generator().manual_seed(2))
    coefficients = numbers(BASIS.size)
    seen = from_coordinates(BesselSlices.of(BASIS, PLANE, rotations).project(coefficients), PLANE)
    for each, rotation in zip(seen, rotations, strict=True):
        points = torch.nn.functional.pad(PLANE, (0, 1)) @ rotation
        torch.testing.assert_close(each, BASIS.evaluate(coefficients, points), atol=1e-12, rtol=0)


def test_the_slice_without_turn_is_the_projection_along_z():
    coefficients = numbers(BASIS.size)
    image = coordinates_to_images(
        BesselSlices.of(BASIS, PLANE, torch.eye(3, dtype=torch.float64)[None]).project(coefficients), 11
    )[0]
    # the projection of the map on a box of eleven pixels more finely sampled: the same Fourier coefficients
    volume = to_voxels(BASIS, coefficients, 22)
    projected = torch.fft.fftshift(torch.fft.fft2(torch.fft.ifftshift(volume.sum(0)))) / 22
    expected = torch.fft.fftshift(torch.fft.fft2(torch.fft.ifftshift(image))) / 11
    torch.testing.assert_close(projected[6:17, 6:17], expected, atol=1e-12, rtol=0)


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=10)
def test_adjoint(seed):
    operator, coefficients, images = slices(), numbers(2, BASIS.size, seed=seed), numbers(2, 6, 122, seed=seed + 1)
    left = (operator.project(coefficients) * images).sum()
    torch.testing.assert_close(left, (coefficients * operator.backproject(images)).sum(), atol=1e-11, rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_normal_matrices_are_back_projections_of_slices(weighted):
    operator, coefficients = slices(), numbers(BASIS.size)
    root = numbers(122, 122) if weighted else torch.eye(122, dtype=torch.float64)
    gram = root @ root.mT if weighted else None
    matrices = operator.normal_matrices(gram)
    seen = operator.project(coefficients) @ (root @ root.mT)
    for pose, matrix in enumerate(matrices):
        alone = torch.zeros_like(seen)
        alone[pose] = seen[pose]
        torch.testing.assert_close(matrix @ coefficients, operator.backproject(alone), atol=1e-10, rtol=0)


def test_all_slices_lie_in_the_compressed_space():
    operator, coefficients = slices(), numbers(BASIS.size)
    small, space = operator.compressed()
    assert space.shape == (122, 3 * 1 + 2 * 2 + 3 * 2 + 4 * 1)
    torch.testing.assert_close(space.mT @ space, torch.eye(17, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(small.project(coefficients) @ space.mT, operator.project(coefficients))
