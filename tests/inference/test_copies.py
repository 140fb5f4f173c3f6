"""Maps against their turned copies: symmetric or not, noisy or not, and such as tell nothing."""

import pytest
import torch

from cryorbit.geometry.point_groups import point_group
from cryorbit.imaging.masks import soft_ball
from cryorbit.inference.copies import copies_agreement
from cryorbit.inference.turned_map import rotated
from phantom_sets import sharp_phantom

RADIUS = 12.0


def noisy_halves(volume: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """The map twice, with noise of its own spread over all voxels."""
    level = float(volume.std())
    first, second = (volume + level * torch.randn(volume.shape, generator=generator) for _ in range(2))
    return first, second


def test_a_symmetric_map_agrees_with_its_copies_however_noisy(generator: torch.Generator) -> None:
    group = point_group("D3")
    volume = sharp_phantom(generator)
    symmetric = torch.stack([rotated(volume, operator.float()) for operator in group]).mean(0)
    exact = copies_agreement(symmetric, symmetric, group, RADIUS)
    noisy = copies_agreement(*noisy_halves(symmetric, generator), group, RADIUS)
    assert exact is not None
    assert noisy is not None
    assert abs(exact - 1) < 0.05
    assert abs(noisy - 1) < 0.2


def test_a_map_without_symmetry_does_not(generator: torch.Generator) -> None:
    volume = sharp_phantom(generator)
    for name in ("C2", "C4", "D3", "O"):
        agreement = copies_agreement(*noisy_halves(volume, generator), point_group(name), RADIUS)
        assert agreement is not None
        assert agreement < 0.4


def test_a_ball_and_noise_tell_nothing(generator: torch.Generator) -> None:
    ball = soft_ball(32, 8.0, 4.0)
    assert copies_agreement(ball, ball, point_group("C4"), RADIUS) is None
    first, second = torch.randn(2, 32, 32, 32, generator=generator)
    assert copies_agreement(first, second, point_group("C4"), RADIUS) is None


@pytest.mark.parametrize(("share", "tells"), [(0.28, True), (0.14, False)])
def test_maps_that_share_less_than_a_tenth_tell_nothing(share: float, tells: bool, generator: torch.Generator) -> None:
    """A map that is even about the centre, and some of it beside one that is odd, which shares nothing with it.

    Direction by direction they correlate by half of ``share``: the even one is the same in all directions for the rest.
    """
    volume = sharp_phantom(generator)
    mate = volume.flip(0, 1, 2).roll((1, 1, 1), (0, 1, 2))
    even, odd = volume + mate, volume - mate
    mixed = share * even / even.norm() + odd / odd.norm()
    assert (copies_agreement(even, mixed, point_group("C2"), RADIUS) is not None) == tells
