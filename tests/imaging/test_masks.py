"""The soft ball: where it is 1, where it is 0, and what is between."""

import pytest
import torch

from cryorbit.imaging.masks import soft_ball


@pytest.mark.parametrize("dimensions", [2, 3])
def test_ones_inside_zeros_outside_and_a_cosine_between(dimensions: int) -> None:
    size, radius, edge = 24, 5.0, 4.0
    mask = soft_ball(size, radius, edge, dimensions)
    axes = torch.meshgrid(*[torch.arange(size) - size // 2] * dimensions, indexing="ij")
    distance = torch.stack(axes).double().square().sum(0).sqrt()
    assert mask.shape == (size,) * dimensions
    assert bool((mask[distance <= radius] == 1).all())
    assert bool((mask[distance >= radius + edge].abs() < 1e-7).all())
    between = (distance > radius) & (distance < radius + edge)
    expected = torch.cos(0.5 * torch.pi * (distance[between] - radius) / edge) ** 2
    torch.testing.assert_close(mask[between].double(), expected, rtol=0, atol=1e-6)


def test_a_disc_is_the_middle_of_a_ball() -> None:
    assert torch.equal(soft_ball(16, 3.0, 2.5, 2), soft_ball(16, 3.0, 2.5)[8])
