"""Resolution from place to place where it is known, and the map filtered to it."""

import pytest
import torch
from synthetic_halves import fading, noisy_halves

from cryorbit.evaluation.fsc import fsc_curve, resolution_at
from cryorbit.evaluation.local_filter import filter_locally
from cryorbit.evaluation.local_resolution import local_resolution
from cryorbit.evaluation.radial_filter import apply_gain, low_pass
from cryorbit.imaging.masks import soft_ball

BOX, PIXEL_SIZE = 64, 2.0


def test_even_maps_have_the_resolution_of_the_whole_everywhere(generator: torch.Generator) -> None:
    signal = fading(torch.randn(BOX, BOX, BOX, generator=generator), PIXEL_SIZE, 150.0)
    half1, half2 = noisy_halves(signal, 0.25, generator)
    whole = resolution_at(fsc_curve(half1, half2, PIXEL_SIZE), 0.5)
    mask = soft_ball(BOX, 24, 4)
    local = local_resolution(half1, half2, mask, PIXEL_SIZE, 6 * whole)[mask > 0.5]
    assert float(local.median()) == pytest.approx(whole, rel=0.03)
    assert float(local.std()) / whole < 0.06


def test_two_halves_of_different_noise_show_both(generator: torch.Generator) -> None:
    signal = fading(torch.randn(BOX, BOX, BOX, generator=generator), PIXEL_SIZE, 150.0)
    noise = torch.randn(2, BOX, BOX, BOX, generator=generator)
    level = torch.where(torch.arange(BOX) < BOX // 2, 0.1, 0.5)
    half1, half2 = signal + noise * level
    expected = [resolution_at(fsc_curve(*(signal + noise * strength), PIXEL_SIZE), 0.5) for strength in (0.1, 0.5)]
    assert expected[1] > 1.4 * expected[0]
    local = local_resolution(half1, half2, torch.ones_like(signal), PIXEL_SIZE, 40.0)
    # far from the borders between the two, of which a periodic box has two
    assert float(local[..., 12:20].median()) == pytest.approx(expected[0], rel=0.07)
    assert float(local[..., 44:52].median()) == pytest.approx(expected[1], rel=0.07)


def test_outside_the_mask_stands_the_lowest_resolution(generator: torch.Generator) -> None:
    signal = fading(torch.randn(32, 32, 32, generator=generator), PIXEL_SIZE, 150.0)
    half1, half2 = noisy_halves(signal, 0.25, generator)
    mask = soft_ball(32, 8, 3)
    local = local_resolution(half1, half2, mask, PIXEL_SIZE, 30.0)
    assert torch.isfinite(local).all()
    assert float(local[mask <= 0.5].min()) == float(local[mask <= 0.5].max()) == float(local[mask > 0.5].max())


def test_solvent_noise_does_not_spoil_the_rim(generator: torch.Generator) -> None:
    ball = soft_ball(BOX, 14, 2)
    signal = fading(torch.randn(BOX, BOX, BOX, generator=generator), PIXEL_SIZE, 150.0) * ball
    half1, half2 = noisy_halves(signal, 0.25, generator)
    rim = (soft_ball(BOX, 13, 0.1) > 0.5) & (soft_ball(BOX, 11, 0.1) < 0.5)
    masked = local_resolution(half1, half2, ball, PIXEL_SIZE, 50.0)[rim].median()
    open_window = local_resolution(half1, half2, torch.ones_like(ball), PIXEL_SIZE, 50.0)[rim].median()
    assert float(masked) < 0.9 * float(open_window)


def test_map_of_one_resolution_is_low_passed_there(generator: torch.Generator) -> None:
    volume = torch.randn(32, 32, 32, generator=generator)
    filtered = filter_locally(volume, torch.full_like(volume, 8.0), PIXEL_SIZE)
    torch.testing.assert_close(filtered, apply_gain(volume, low_pass(32, PIXEL_SIZE, 8.0)), atol=1e-5, rtol=1e-4)


def test_each_place_is_filtered_to_its_own_resolution(generator: torch.Generator) -> None:
    volume = torch.randn(BOX, BOX, BOX, generator=generator)
    resolution = torch.where(torch.arange(BOX) < BOX // 2, 6.0, 16.0).expand(BOX, BOX, BOX)
    filtered = filter_locally(volume, resolution, PIXEL_SIZE)
    torch.testing.assert_close(
        filtered[..., :32], apply_gain(volume, low_pass(BOX, PIXEL_SIZE, 6.0))[..., :32], atol=0.02, rtol=0
    )
    torch.testing.assert_close(
        filtered[..., 32:], apply_gain(volume, low_pass(BOX, PIXEL_SIZE, 16.0))[..., 32:], atol=0.02, rtol=0
    )


def test_nowhere_is_finer_than_the_half_maps_hold_data(generator: torch.Generator) -> None:
    signal = torch.randn(BOX, BOX, BOX, generator=generator)
    half1, half2 = (
        apply_gain(half, (torch.arange(33) <= 14).double()) for half in noisy_halves(signal, 0.1, generator)
    )
    local = local_resolution(half1, half2, soft_ball(BOX, 24, 4), PIXEL_SIZE, 40.0, last=14)
    assert BOX * PIXEL_SIZE / 14 - 1e-3 <= float(local.min()) <= float(local.max()) < BOX * PIXEL_SIZE / 12
