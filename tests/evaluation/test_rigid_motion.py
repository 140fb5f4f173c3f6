"""Rigid motion against phantoms whose blobs were moved by arithmetic."""

import pytest
import torch
from moved_phantoms import moved, sharp_blobs

from cryorbit.evaluation.fsc import fourier_shell_correlation
from cryorbit.evaluation.rigid_motion import background_level, low_pass, mirror, move_map
from cryorbit.geometry.rotations import random_rotations
from cryorbit.simulate.phantoms import blob_volume, random_blob_phantom

BOX = 48


@pytest.mark.parametrize("mirrored", [False, True])
def test_moves_as_arithmetic_says(mirrored: bool, generator: torch.Generator) -> None:
    blobs = sharp_blobs(BOX, generator)
    rotation = random_rotations(1, generator)[0]
    shift = torch.tensor([1.3, -2.6, 0.4]).double()
    expected = blob_volume(moved(blobs, rotation, shift, mirrored), BOX)
    found = move_map(blob_volume(blobs, BOX), rotation, shift, mirrored=mirrored)
    correlation = fourier_shell_correlation(found, expected)
    assert float(correlation[1 : BOX // 3].min()) > 0.9999
    assert float(correlation[1 : BOX // 2 - 1].min()) > 0.99
    assert float((found - expected).abs().max()) < 0.01 * float(expected.max())


def test_background_comes_in_from_outside(generator: torch.Generator) -> None:
    volume = random_blob_phantom(32, generator) + 5.0
    found = move_map(volume, torch.eye(3), torch.tensor([8.0, 0.0, 0.0]))
    torch.testing.assert_close(found[:, :, :6], torch.full((32, 32, 6), 5.0), rtol=0, atol=0.02)
    assert float(background_level(volume)) == pytest.approx(5.0, abs=1e-3)


def test_mirror_keeps_the_centre_voxel_in_place() -> None:
    volume = torch.arange(8.0)[:, None, None].expand(8, 8, 8)
    assert mirror(volume)[:, 0, 0].tolist() == [0, 7, 6, 5, 4, 3, 2, 1]
    assert torch.equal(mirror(mirror(volume)), volume)


def test_low_pass_is_a_projection(generator: torch.Generator) -> None:
    noise = torch.randn(16, 16, 16, generator=generator, dtype=torch.float64)
    once = low_pass(noise)
    assert float((once - noise).abs().max()) > 0.1
    torch.testing.assert_close(low_pass(once), once)
