"""The window, the centre of mass, and moves by whole voxels."""

import math

import pytest
import torch

from cryorbit.imaging.masks import soft_ball
from cryorbit.inference.constraints import centre_offset, centred, rolled, windowed, without_corners


def test_windowing_takes_the_level_of_the_background_off(generator: torch.Generator) -> None:
    window = soft_ball(16, 4.0, 2.0)
    volume = torch.randn(2, 16, 16, 16, generator=generator) * (window >= 0.02)
    level = torch.tensor([5.0, -3.0])[:, None, None, None]
    torch.testing.assert_close(windowed(volume + level, window), volume * window, rtol=0, atol=1e-5)


def test_windowing_is_idempotent(generator: torch.Generator) -> None:
    window = soft_ball(16, 5.0, 1e-3)
    once = windowed(torch.randn(1, 16, 16, 16, generator=generator), window)
    torch.testing.assert_close(windowed(once, window), once)


def test_one_voxel_outside_the_window_is_background_enough() -> None:
    window, volume = torch.ones(4, 4, 4), torch.ones(1, 4, 4, 4)
    assert torch.equal(windowed(volume, window), volume)
    window[0, 0, 0], volume[0, 0, 0, 0] = 0.0, 3.0
    expected = torch.full((1, 4, 4, 4), -2.0)
    expected[0, 0, 0, 0] = 0
    assert torch.equal(windowed(volume, window), expected)


def test_corners_of_a_box_are_faded_out_beyond_the_ball_that_fits_it() -> None:
    """Of a box of 16 the ball has a radius of 8 voxels, and its edge is 3 wide."""
    volume, level = torch.zeros(1, 16, 16, 16), 5.0
    corner, edge, inside = (0, 0, 0), (0, 3, 7), (8, 8, 0)
    for place in (edge, inside):
        volume[0][place] = 1.0
    faded = without_corners(volume + level)[0]
    assert float(faded[corner]) == 0
    # the voxel lies (-8, -5, -1) off the centre
    assert float(faded[edge]) == pytest.approx(0.5 * (1 + math.cos(math.pi * (math.sqrt(90) - 8) / 3)), abs=1e-5)
    assert float(faded[inside]) == pytest.approx(1, abs=1e-5)


def test_centre_offset_is_the_centre_of_mass_of_positive_density() -> None:
    volume = torch.zeros(2, 12, 12, 12)
    volume[0, 8, 3, 7] = 1.0
    volume[0, 8, 5, 7] = 3.0
    volume[0, 0, 0, 0] = -50.0
    torch.testing.assert_close(centre_offset(volume)[0], torch.tensor([1.0, -1.5, 2.0]))
    assert not centre_offset(volume)[1].any()
    # the centre of an odd box is its middle voxel
    assert centre_offset(volume[:, :11, :11, :11])[0].tolist() == [2.0, -0.5, 3.0]


def test_rolling_by_the_offset_centres() -> None:
    volume = torch.zeros(12, 12, 12)
    volume[8, 3, 7] = 1.0
    whole = rolled(volume, centre_offset(volume[None])[0])
    assert float(whole[6, 6, 6]) == 1


def test_classes_are_moved_to_their_centres_with_what_goes_along() -> None:
    volume = torch.zeros(2, 8, 8, 8)
    volume[0, 3, 6, 7], volume[1, 4, 4, 4] = 1.0, 1.0
    offsets = centre_offset(volume)
    moved = centred(volume, offsets)
    assert moved[:, 4, 4, 4].tolist() == [1.0, 1.0]
    along = torch.randn(3, 2, 8, 8, 8, generator=torch.Generator().manual_seed(1))
    found = centred(along, offsets)
    assert torch.equal(found[:, 0], torch.roll(along[:, 0], (1, -2, -3), (1, 2, 3)))
    assert torch.equal(found[:, 1], along[:, 1])


def test_half_sets_of_classes_are_windowed_one_by_one(generator: torch.Generator) -> None:
    volumes, window = torch.randn(2, 3, 8, 8, 8, generator=generator), soft_ball(8, 3.0, 1.0)
    each = torch.stack([torch.stack([windowed(v[None], window)[0] for v in half]) for half in volumes])
    torch.testing.assert_close(windowed(volumes, window), each)
