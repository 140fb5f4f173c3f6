"""Superposition: exact motions are found exactly; noise, grey scale and filters do not mislead it."""

import pytest
import torch
from moved_phantoms import MIRROR, moved, sharp_blobs

from cryorbit.evaluation.align import Alignment, align_maps, correlation
from cryorbit.evaluation.fsc import fourier_shell_correlation
from cryorbit.evaluation.rigid_motion import low_pass
from cryorbit.fourier.shells import shell_indices
from cryorbit.geometry.rotations import angular_distance, random_rotations
from cryorbit.simulate.phantoms import blob_volume, random_blobs

BOX = 48


def errors(found: Alignment, rotation: torch.Tensor, shift: torch.Tensor, mirrored: bool) -> tuple[float, float]:
    """Error in degrees and in pixels of the alignment that undoes a motion."""
    undo = rotation.T
    shift_back = -undo @ shift
    if mirrored:
        # undoing comes after the mirror in the alignment, before it in the motion
        undo, shift_back = MIRROR @ undo @ MIRROR, MIRROR @ shift_back
    return float(angular_distance(found.rotation, undo)), float((found.shift_A - shift_back).norm())


def filtered(volume: torch.Tensor, falloff: float) -> torch.Tensor:
    """The map times a Gaussian of ``falloff`` Fourier pixels."""
    weight = torch.exp(-((shell_indices(volume.shape[-1]) / falloff) ** 2))
    return torch.fft.irfftn(torch.fft.rfftn(volume) * weight, s=volume.shape)


@pytest.mark.parametrize(("mirrored", "seed"), [(False, 1), (True, 2), (True, 3)])
def test_undoes_a_motion(mirrored: bool, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    blobs = sharp_blobs(BOX, generator)
    rotation = random_rotations(1, generator)[0]
    shift = 3.0 * torch.randn(3, generator=generator, dtype=torch.float64)
    reference = blob_volume(blobs, BOX)
    found = align_maps(blob_volume(moved(blobs, rotation, shift, mirrored), BOX), reference, pixel_size=1.0)
    assert found.hand_flipped == mirrored
    angle, distance = errors(found, rotation, shift, mirrored)
    assert angle < 0.05
    assert distance < 0.02
    assert found.correlation > 0.999
    assert float(fourier_shell_correlation(found.aligned, reference)[1 : BOX // 3].min()) > 0.999


def test_grey_scale_filter_and_noise_do_not_matter(generator: torch.Generator) -> None:
    blobs = random_blobs(BOX, generator, 40)
    rotation = random_rotations(1, generator)[0]
    shift = torch.tensor([2.0, -1.0, 1.5]).double()
    reference = blob_volume(blobs, BOX)
    noise = low_pass(torch.randn(BOX, BOX, BOX, generator=generator)) * reference.std()
    moving = filtered(blob_volume(moved(blobs, rotation, shift, True), BOX), 10.0)
    found = align_maps(100 + 7 * (moving + 0.5 * noise), reference + noise.flip(0), pixel_size=1.0)
    assert found.hand_flipped
    angle, distance = errors(found, rotation, shift, True)
    assert angle < 1.0
    assert distance < 0.2


def test_only_low_resolution_in_common(generator: torch.Generator) -> None:
    blobs = sharp_blobs(BOX, generator)
    other = blob_volume(moved(sharp_blobs(BOX, generator), torch.eye(3).double(), torch.zeros(3), False), BOX)
    rotation = random_rotations(1, generator)[0]
    shift = torch.zeros(3).double()
    low = torch.sigmoid((7.0 - shell_indices(BOX)) / 1.0)

    def half_true(volume: torch.Tensor) -> torch.Tensor:
        mixed = torch.fft.rfftn(volume) * low + torch.fft.rfftn(other) * (1 - low)
        return torch.fft.irfftn(mixed, s=volume.shape)

    moving = half_true(blob_volume(moved(blobs, rotation, shift, False), BOX))
    found = align_maps(moving, blob_volume(blobs, BOX), pixel_size=1.0)
    assert not found.hand_flipped
    assert errors(found, rotation, shift, False)[0] < 3.0


def test_shift_is_in_angstrom_and_small_boxes_work(generator: torch.Generator) -> None:
    blobs = random_blobs(16, generator)
    shift = torch.tensor([1.0, 0.0, -1.0]).double()
    moving = blob_volume(moved(blobs, torch.eye(3).double(), shift, False), 16)
    found = align_maps(moving, blob_volume(blobs, 16), pixel_size=2.5)
    torch.testing.assert_close(found.shift_A, -2.5 * shift, rtol=0, atol=0.1)
    assert found.angle_deg < 0.5


def test_is_deterministic(generator: torch.Generator) -> None:
    a, b = torch.randn(2, 16, 16, 16, generator=generator)
    first, second = align_maps(a, b, 1.0), align_maps(a, b, 1.0)
    assert torch.equal(first.aligned, second.aligned)


def test_correlation_is_pearsons(generator: torch.Generator) -> None:
    a, b = torch.randn(2, 8, 8, 8, generator=generator, dtype=torch.float64)
    expected = float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])
    assert correlation(a, b) == pytest.approx(expected, abs=1e-12)
    mask = (torch.rand(8, 8, 8, generator=generator) > 0.5).double()
    inside = mask.bool()
    expected = float(torch.corrcoef(torch.stack([a[inside], b[inside]]))[0, 1])
    assert correlation(a, b, mask) == pytest.approx(expected, abs=1e-12)
