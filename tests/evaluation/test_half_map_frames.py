"""Half-maps out of place, by a shift, the hand or a rotation."""

import pytest
import torch

from cryorbit.evaluation.half_map_frames import Misplacement, misplacement
from cryorbit.evaluation.rigid_motion import move_map
from cryorbit.imaging.masks import soft_ball

BOX = 32


@pytest.fixture
def halves(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """A handed object of blobs, with noise of its own in each half."""
    blobs = torch.zeros(BOX, BOX, BOX)
    for place in ((16, 16, 16), (20, 16, 16), (16, 22, 16), (16, 16, 9), (21, 20, 19)):
        blobs += soft_ball(BOX, 3.0, 1.0).roll([each - 16 for each in place], (0, 1, 2))
    noise = 0.05 * torch.randn(2, BOX, BOX, BOX, generator=generator)
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


@pytest.mark.parametrize("mirrored", [True, False])
def test_a_rotation(halves: tuple[torch.Tensor, torch.Tensor], mirrored: bool) -> None:
    """By 40 degrees about z, so that mirroring z is all that is left beside it, and by 2 voxels."""
    angle = torch.deg2rad(torch.tensor(40.0, dtype=torch.float64))
    turn = torch.eye(3, dtype=torch.float64)
    turn[0, 0] = turn[1, 1] = angle.cos()
    turn[1, 0], turn[0, 1] = angle.sin(), -angle.sin()
    moved = move_map(halves[1], turn, torch.tensor([0.0, 0.0, 2.0], dtype=torch.float64), mirrored=mirrored)
    found = misplacement(halves[0], moved)
    assert found is not None
    assert found.mirrored == ("z" if mirrored else None)
    assert found.angle_deg == pytest.approx(40, abs=2)
    back = torch.tensor([0.0, 0.0, 2.0 if mirrored else -2.0])
    torch.testing.assert_close(torch.tensor(found.shift_px), back, atol=0.3, rtol=0)


def test_noise_lies_nowhere_else(generator: torch.Generator) -> None:
    noise = torch.randn(2, BOX, BOX, BOX, generator=generator)
    assert misplacement(noise[0], noise[1]) is None
