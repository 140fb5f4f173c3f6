"""Half-maps out of place, by a shift or the hand, and masks of the outside."""

import pytest
import torch

from cryorbit.evaluation.half_map_frames import Misplacement, covers_the_outside, misplacement
from cryorbit.imaging.masks import soft_ball

BOX = 32


@pytest.fixture
def halves(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """A handed object of blobs, with noise of its own in each half."""
    blobs = torch.zeros(BOX, BOX, BOX)
    for place in ((16, 16, 16), (20, 16, 16), (16, 22, 16), (16, 16, 9), (21, 20, 19)):
        blobs += soft_ball(BOX, 3.0, 1.0).roll([each - 16 for each in place], (0, 1, 2))
    noise = 0.1 * torch.randn(2, BOX, BOX, BOX, generator=generator)
    return blobs + noise[0], blobs + noise[1]


def test_half_maps_in_place(halves: tuple[torch.Tensor, torch.Tensor]) -> None:
    assert misplacement(*halves) is None


def test_a_shift(halves: tuple[torch.Tensor, torch.Tensor]) -> None:
    assert misplacement(halves[0], halves[1].roll((3, -2), (0, 2))) == Misplacement(None, (2.0, 0.0, -3.0))


@pytest.mark.parametrize(("axis", "name"), [(0, "z"), (1, "y"), (2, "x")])
def test_the_other_hand(halves: tuple[torch.Tensor, torch.Tensor], axis: int, name: str) -> None:
    """Mirrored about the centre voxel."""
    mirrored = halves[1].flip(axis).roll(1, axis)
    assert misplacement(halves[0], mirrored) == Misplacement(name, (0.0, 0.0, 0.0))


def test_a_mask_of_the_outside(halves: tuple[torch.Tensor, torch.Tensor]) -> None:
    mask = soft_ball(BOX, 12.0, 2.0)
    assert covers_the_outside(1 - mask, *halves)
    assert not covers_the_outside(mask, *halves)
    assert not covers_the_outside(torch.ones_like(mask), *halves)
