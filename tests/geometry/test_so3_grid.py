"""The grids on SO(3): counts, evenness, covering, and what subdivision gains."""

import pytest
import torch
from scipy.spatial import KDTree

from cryorbit.geometry.rotations import angular_distance, euler_to_matrix, random_rotations
from cryorbit.geometry.so3_grid import (
    hopf_grid,
    neighbourhood,
    order_for,
    paired_grid,
    spacing_deg,
    subdivide,
    subdivide_in_plane,
)


def nearest_deg(grid: torch.Tensor, rotations: torch.Tensor) -> torch.Tensor:
    """Angle from each rotation to the nearest of the grid."""
    _, index = KDTree(grid.flatten(1).numpy()).query(rotations.flatten(1).numpy())
    return angular_distance(grid[torch.from_numpy(index)], rotations)


@pytest.mark.parametrize(("order", "count"), [(0, 72), (1, 576), (2, 4608)])
def test_counts_and_rotations(order: int, count: int) -> None:
    grid = hopf_grid(order)
    assert grid.shape == (count, 3, 3)
    identity = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(grid @ grid.mT, identity.expand_as(grid), atol=1e-12, rtol=0)
    torch.testing.assert_close(torch.linalg.det(grid), torch.ones(count, dtype=torch.float64))


def test_pairs_are_half_a_turn_apart_and_make_the_same_grid() -> None:
    pairs = paired_grid(1)
    half_turn = torch.diag(torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64))
    torch.testing.assert_close(pairs[1::2], half_turn @ pairs[::2])
    distance = torch.cdist(pairs.flatten(1), hopf_grid(1).flatten(1))
    assert distance.argmin(1).sort().values.tolist() == list(range(len(pairs)))
    assert float(distance.amin(1).max()) < 1e-6


@pytest.mark.parametrize("order", [0, 1, 2])
def test_moments_tend_to_those_of_the_uniform_distribution(order: int) -> None:
    """Pixels of equal area integrate degree 1 exactly; degree 2 with an error of the pixel's area."""
    entries = hopf_grid(order).flatten(1)
    assert entries.mean(0).abs().max() < 1e-12
    second = entries.mT @ entries / len(entries)
    uniform = torch.eye(9, dtype=torch.float64) / 3
    torch.testing.assert_close(second, uniform, atol=0.04 / 4**order, rtol=0)


@pytest.mark.parametrize("order", [1, 2])
def test_neighbours_are_a_spacing_apart_and_cover(order: int, generator: torch.Generator) -> None:
    grid, spacing = hopf_grid(order), spacing_deg(order)
    _, index = KDTree(grid.flatten(1).numpy()).query(grid.flatten(1).numpy(), k=2)
    apart = angular_distance(grid[torch.from_numpy(index[:, 1])], grid)
    assert float(apart.min()) > 0.5 * spacing
    assert float(apart.max()) < 1.1 * spacing
    assert float(nearest_deg(grid, random_rotations(5000, generator)).max()) < spacing


def test_subdivision_samples_the_cells_at_half_the_spacing(generator: torch.Generator) -> None:
    grid, spacing = hopf_grid(1), spacing_deg(1)
    children = subdivide(grid, spacing)
    assert children.shape == (576, 8, 3, 3)
    apart = angular_distance(children, grid[:, None].expand_as(children))
    torch.testing.assert_close(apart, torch.full_like(apart, 3**0.5 * spacing / 4))
    torch.testing.assert_close(torch.linalg.det(children), torch.ones(576, 8, dtype=torch.float64))
    rotations = random_rotations(5000, generator)
    coarse, fine = nearest_deg(grid, rotations), nearest_deg(children.flatten(0, 1), rotations)
    assert float(fine.mean()) < 0.55 * float(coarse.mean())
    assert float(fine.max()) < 0.75 * float(coarse.max())


def test_subdivision_in_the_plane_leaves_the_views_and_halves_the_spacing() -> None:
    turns = torch.zeros(12, 3, dtype=torch.float64)
    turns[:, 0], turns[:, 1], turns[:, 2] = 50.0, 70.0, torch.arange(0.0, 360.0, 30.0)
    children = subdivide_in_plane(euler_to_matrix(turns), 30.0).flatten(0, 1)
    torch.testing.assert_close(children[:, 2], euler_to_matrix(turns[:1])[:, 2].expand(24, 3))
    fine = turns.repeat(2, 1)
    fine[:, 2] = torch.arange(7.5, 360.0, 15.0)
    distance = angular_distance(children[:, None], euler_to_matrix(fine)[None])
    assert distance.argmin(1).sort().values.tolist() == list(range(24))
    assert float(distance.amin(1).max()) < 1e-5


def test_neighbourhood_is_a_ball_about_its_centre(generator: torch.Generator) -> None:
    centers = random_rotations(3, generator)
    ball = neighbourhood(centers, 2.0, 2)
    assert torch.equal(ball[:, 0], centers)
    apart = angular_distance(ball, centers[:, None].expand_as(ball))
    assert float(apart.max()) < 2 * 2.5
    torch.testing.assert_close(apart[:, 1:7], torch.full((3, 6), 2.0, dtype=torch.float64))
    assert ball.shape[1] == 81


@pytest.mark.parametrize(("spacing", "order"), [(60.0, 0), (59.0, 1), (15.0, 2), (7.6, 3), (7.5, 3), (7.4, 4)])
def test_order_for_a_spacing(spacing: float, order: int) -> None:
    assert order_for(spacing) == order


def test_float32_in_float32_out(generator: torch.Generator) -> None:
    single = random_rotations(2, generator).float()
    assert subdivide(single, 15.0).dtype == torch.float32
    assert neighbourhood(single, 15.0, 1).dtype == torch.float32
