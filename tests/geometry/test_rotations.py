"""Rotations: RELION's convention, round trips, distances, projection onto SO(3)."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from cryorbit.geometry.rotations import (
    angular_distance,
    euler_to_matrix,
    matrix_to_euler,
    nearest_rotation,
    quaternion_to_matrix,
    random_rotations,
    rotvec_to_matrix,
)

angles = st.tuples(st.floats(-360, 360), st.floats(-180, 180), st.floats(-360, 360))
seeds = st.integers(0, 2**31)


@settings(deadline=None, max_examples=50)
@given(angles)
def test_euler_angles_are_relions(triple: tuple[float, float, float]) -> None:
    expected = Rotation.from_euler("ZYZ", triple, degrees=True).as_matrix().T
    ours = euler_to_matrix(torch.tensor(triple, dtype=torch.float64))
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-12)


@settings(deadline=None, max_examples=50)
@given(angles)
def test_euler_round_trip(triple: tuple[float, float, float]) -> None:
    rotation = euler_to_matrix(torch.tensor(triple, dtype=torch.float64))
    back = matrix_to_euler(rotation)
    assert 0 <= float(back[1]) <= 180
    assert angular_distance(euler_to_matrix(back), rotation) < 1e-3


@pytest.mark.parametrize("tilt", [0.0, 180.0, 1e-5, 180 - 1e-5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_euler_round_trip_at_the_poles(tilt: float, dtype: torch.dtype) -> None:
    triples = torch.tensor([[rot, tilt, psi] for rot in (-170.0, 0.0, 33.0) for psi in (0.0, 91.0)], dtype=dtype)
    rotations = euler_to_matrix(triples)
    back = euler_to_matrix(matrix_to_euler(rotations))
    assert angular_distance(back, rotations).max() < 2e-2


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_rotation_vectors_and_quaternions_are_those_of_scipy(seed: int) -> None:
    reference = Rotation.random(8, np.random.default_rng(seed))
    ours = rotvec_to_matrix(torch.from_numpy(reference.as_rotvec()))
    np.testing.assert_allclose(ours.numpy(), reference.as_matrix(), atol=1e-12)
    x, y, z, w = torch.from_numpy(reference.as_quat().T)
    ours = quaternion_to_matrix(3.0 * torch.stack([w, x, y, z], -1))
    np.testing.assert_allclose(ours.numpy(), reference.as_matrix(), atol=1e-12)


@pytest.mark.parametrize("degrees", [0.0, 1e-4, 1.0, 90.0, 179.0, 180.0])
def test_angular_distance(degrees: float, generator: torch.Generator) -> None:
    start = random_rotations(10, generator)
    axes = torch.nn.functional.normalize(torch.randn(10, 3, generator=generator, dtype=torch.float64), dim=-1)
    turned = rotvec_to_matrix(axes * np.deg2rad(degrees)) @ start
    expected = torch.full((10,), degrees, dtype=torch.float64)
    # a chord hardly changes near half a turn: there an error of 1e-16 in it is one of 1e-6 degrees
    torch.testing.assert_close(angular_distance(turned, start), expected, atol=1e-5, rtol=0)


def test_random_rotations_are_uniform(generator: torch.Generator) -> None:
    """The angle of a uniform rotation has density (1 - cos a) / pi; entries of the matrix are uncorrelated."""
    count = 20_000
    rotations = random_rotations(count, generator)
    angle = np.sort(
        np.deg2rad(angular_distance(rotations, torch.eye(3, dtype=torch.float64).expand_as(rotations)).numpy())
    )
    distribution = (angle - np.sin(angle)) / np.pi
    # Kolmogorov-Smirnov at one in a million
    assert np.abs(distribution - np.arange(count) / count).max() < 2.7 / np.sqrt(count)
    entries = rotations.flatten(1)
    torch.testing.assert_close(
        entries.mT @ entries / count, torch.eye(9, dtype=torch.float64) / 3, atol=5 / np.sqrt(count), rtol=0
    )


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_nearest_rotation(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    rotations = random_rotations(5, generator)
    torch.testing.assert_close(nearest_rotation(2.5 * rotations), rotations, atol=1e-10, rtol=0)
    matrices = torch.randn(5, 3, 3, generator=generator, dtype=torch.float64)
    nearest = nearest_rotation(matrices)
    torch.testing.assert_close(torch.linalg.det(nearest), torch.ones(5, dtype=torch.float64))
    distance = torch.linalg.matrix_norm(matrices - nearest)
    others = random_rotations(200, generator)
    assert (distance[:, None] <= torch.linalg.matrix_norm(matrices[:, None] - others) + 1e-12).all()
