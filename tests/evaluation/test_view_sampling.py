"""The sampling compensation factor of view distributions for which it is known."""

import math

import pytest
import torch

from cryorbit.evaluation.view_sampling import view_sampling
from cryorbit.geometry.point_groups import point_group
from cryorbit.geometry.rotations import euler_to_matrix, random_rotations

TRIVIAL = torch.eye(3).double()[None]


def views(count: int, tilt: float, generator: torch.Generator) -> torch.Tensor:
    """Poses of one tilt and any azimuth and in-plane angle."""
    angles = 360 * torch.rand(count, 3, generator=generator, dtype=torch.float64)
    angles[:, 1] = tilt
    return euler_to_matrix(angles)


def test_uniform_views_have_factor_one(generator: torch.Generator) -> None:
    found = view_sampling(random_rotations(10_000, generator), TRIVIAL, generator)
    assert found.factor == pytest.approx(1.0, abs=0.01)
    assert found.unsampled == 0.0
    assert not found.biased


def test_side_views_have_eight_over_pi_squared(generator: torch.Generator) -> None:
    found = view_sampling(views(10_000, 90, generator), TRIVIAL, generator)
    assert found.factor == pytest.approx(8 / math.pi**2, abs=0.02)
    assert found.unsampled == 0.0


def test_one_direction_samples_one_plane_only(generator: torch.Generator) -> None:
    found = view_sampling(views(1000, 0, generator), TRIVIAL, generator)
    # the axes within asin(1 / 40) of the plane
    assert found.unsampled == pytest.approx(1 - 1 / 40, abs=0.02)
    assert found.factor < 0.05
    assert found.biased


def test_unsampled_cone_around_the_axis_of_tilted_views(generator: torch.Generator) -> None:
    found = view_sampling(views(5000, 50, generator), TRIVIAL, generator)
    assert found.unsampled == pytest.approx(1 - math.cos(math.radians(40)), abs=0.03)
    assert float(found.density[found.axes[:, 2] > 0.85].max()) == 0.0


def test_symmetry_multiplies_views(generator: torch.Generator) -> None:
    top = views(2000, 0, generator)
    assert view_sampling(top, point_group("O"), generator).unsampled < view_sampling(top, TRIVIAL, generator).unsampled
    tilted = views(2000, 35, generator)
    assert view_sampling(tilted, point_group("I"), generator).factor > 0.9


def test_few_views_are_not_called_uneven_by_chance(generator: torch.Generator) -> None:
    assert view_sampling(random_rotations(300, generator), TRIVIAL, generator).factor > 0.95


def test_of_many_views_a_part_is_enough(generator: torch.Generator) -> None:
    found = view_sampling(views(30_000, 90, generator), TRIVIAL, generator)
    assert found.factor == pytest.approx(8 / math.pi**2, abs=0.02)
