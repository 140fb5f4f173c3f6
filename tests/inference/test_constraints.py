"""The window, the centre of mass, and moves by whole voxels."""

import torch

from cryorbit.imaging.masks import soft_ball
from cryorbit.inference.constraints import centre_offset, centred, rolled, windowed


def test_windowing_takes_the_level_of_the_background_off(generator: torch.Generator) -> None:
    window = soft_ball(16, 4.0, 2.0)
    volume = torch.randn(2, 16, 16, 16, generator=generator) * (window >= 0.02)
    level = torch.tensor([5.0, -3.0])[:, None, None, None]
    torch.testing.assert_close(windowed(volume + level, window), volume * window, rtol=0, atol=1e-5)


def test_windowing_is_idempotent(generator: torch.Generator) -> None:
    window = soft_ball(16, 5.0, 1e-3)
    once = windowed(torch.randn(1, 16, 16, 16, generator=generator), window)
    torch.testing.assert_close(windowed(once, window), once)


def test_centre_offset_is_the_centre_of_mass_of_positive_density() -> None:
    volume = torch.zeros(2, 12, 12, 12)
    volume[0, 8, 3, 7] = 1.0
    volume[0, 8, 5, 7] = 3.0
    volume[0, 0, 0, 0] = -50.0
    torch.testing.assert_close(centre_offset(volume)[0], torch.tensor([1.0, -1.5, 2.0]))
    assert not centre_offset(volume)[1].any()


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
