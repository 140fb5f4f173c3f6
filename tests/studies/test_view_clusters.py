"""Clusters of views: normalised densities, and draws that follow them."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryorbit.geometry.sphere_quadrature import lebedev
from cryorbit.studies.paul2024.mom_net.view_clusters import random_clusters

RULE = lebedev(47)


@settings(deadline=None, max_examples=20)
@given(count=st.integers(1, 8), seed=st.integers(0, 99))
def test_densities_have_mean_one(count: int, seed: int) -> None:
    clusters = random_clusters(count, (0.5, 20.0), (0.2, 1.0), torch.Generator().manual_seed(seed))
    torch.testing.assert_close(clusters.shares.sum(), torch.tensor(1.0).double())
    mean = RULE.weights @ clusters.log_density(RULE.directions).exp()
    torch.testing.assert_close(mean, torch.tensor(1.0).double(), rtol=0, atol=1e-7)


def test_drawn_directions_have_the_moments_of_the_density() -> None:
    clusters = random_clusters(3, (2.0, 10.0), (0.5, 1.5), torch.Generator().manual_seed(1))
    weights = RULE.weights * clusters.log_density(RULE.directions).exp()
    drawn = clusters.draw(100_000, torch.Generator().manual_seed(2))
    torch.testing.assert_close(drawn.norm(dim=1), torch.ones(len(drawn)).double())
    first, second = weights @ RULE.directions, (RULE.directions * weights[:, None]).mT @ RULE.directions
    # standard errors are below 1 / sqrt(100,000)
    assert (drawn.mean(0) - first).abs().max() < 4 / 100_000**0.5
    assert (drawn.mT @ drawn / len(drawn) - second).abs().max() < 4 / 100_000**0.5


def test_poses_look_along_drawn_directions_at_uniform_in_plane_angles() -> None:
    clusters = random_clusters(2, (5.0, 9.0), (0.5, 1.5), torch.Generator().manual_seed(1))
    poses = clusters.draw_poses(40_000, torch.Generator().manual_seed(3))
    torch.testing.assert_close(poses[:, 2], clusters.draw(40_000, torch.Generator().manual_seed(3)))
    torch.testing.assert_close(poses[0] @ poses[0].mT, torch.eye(3).double())
    # the image of any fixed direction has no preferred side
    assert poses[:, :2].mean(0).abs().max() < 4 / 40_000**0.5


def test_several_mixtures_are_evaluated_at_once() -> None:
    one, other = (random_clusters(2, (1.0, 5.0), (0.5, 1.5), torch.Generator().manual_seed(seed)) for seed in (0, 1))
    both = type(one)(*(torch.stack([getattr(each, name) for each in (one, other)]) for name in one.__slots__))
    directions = RULE.directions[:7]
    expected = torch.stack([each.log_density(directions) for each in (one, other)])
    torch.testing.assert_close(both.log_density(directions), expected)
