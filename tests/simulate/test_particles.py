"""Clean images: shifts, CTF, delocalisation, classes and junk."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryorbit.core.data import CTFParams, Poses
from cryorbit.geometry.rotations import random_rotations
from cryorbit.imaging.ctf import ctf_values
from cryorbit.simulate.particles import JUNK, Truth, clean_images, draw_classes, draw_poses
from cryorbit.simulate.phantoms import Blobs, blob_volume, random_blob_phantom, random_blobs
from cryorbit.simulate.projection import prepare_map, project

PIXEL_SIZE = 3.0


def lens(count: int, defocus: float, contrast: float = 0.1) -> CTFParams:
    """CTF parameters without aberration; contrast 1 at defocus 0 is a perfect lens, CTF = 1."""
    values = (defocus, defocus, 0.0, 300.0, 0.0, contrast, 0.0, 0.0, 1.0)
    return CTFParams(*(torch.full((count,), value, dtype=torch.float64) for value in values))


def truth(poses: Poses, ctf: CTFParams, classes: torch.Tensor | None = None) -> Truth:
    """Truth of one micrograph, all of class 0 unless given."""
    none = torch.zeros(len(ctf), dtype=torch.int64)
    return Truth(poses, ctf, none if classes is None else classes, none)


def test_perfect_lens_moves_the_projection_against_the_shift(generator: torch.Generator) -> None:
    prepared = prepare_map(random_blob_phantom(32, generator))
    rotations = random_rotations(2, generator)
    shifts = torch.tensor([[3.0, -2.0], [0.0, 4.0]], dtype=torch.float64)
    images = clean_images([prepared], truth(Poses(rotations, shifts), lens(2, 0.0, 1.0)), PIXEL_SIZE)
    first, second = project(prepared, rotations)
    expected = torch.stack([first.roll((2, -3), (0, 1)), second.roll((-4, 0), (0, 1))])
    torch.testing.assert_close(images, expected, atol=2e-3 * float(expected.max()), rtol=0)


def test_signal_is_carried_out_of_the_box(generator: torch.Generator) -> None:
    """The image is the middle of that in a box twice as large, not the periodic one of its own box.

    The blobs are as small as the pixels allow: their signal is carried up to 15 pixels away.
    """
    blobs = random_blobs(32, generator)
    volume = blob_volume(Blobs(blobs.centers, torch.full_like(blobs.widths, 1.2), blobs.heights), 32)
    large = torch.nn.functional.pad(volume, (16,) * 6)
    rotations = random_rotations(3, generator)
    scene = truth(Poses(rotations, torch.zeros(3, 2, dtype=torch.float64)), lens(3, 20_000.0))
    image = clean_images([prepare_map(volume)], scene, PIXEL_SIZE)
    reference = clean_images([prepare_map(large)], scene, PIXEL_SIZE)[:, 16:48, 16:48]
    ky = torch.fft.fftfreq(32) / PIXEL_SIZE
    kx = torch.fft.rfftfreq(32) / PIXEL_SIZE
    frequencies = torch.stack(torch.broadcast_tensors(kx, ky[:, None]), -1).flatten(0, 1)
    ctf = ctf_values(scene.ctf, frequencies).unflatten(1, (32, 17))
    periodic = torch.fft.irfft2(torch.fft.rfft2(project(prepare_map(volume), rotations)) * ctf, s=(32, 32))
    assert (image - reference).norm() < 2e-3 * reference.norm()
    assert (periodic - reference).norm() > 2e-2 * reference.norm()


def test_classes_have_their_maps_and_junk_is_empty(generator: torch.Generator) -> None:
    maps = [prepare_map(random_blob_phantom(16, generator)) for _ in range(2)]
    poses = draw_poses(4, 1.0, generator)
    classes = torch.tensor([1, JUNK, 0, 1])
    images = clean_images(maps, truth(poses, lens(4, 9_000.0), classes), PIXEL_SIZE)
    assert not images[1].any()
    for row in (0, 2, 3):
        row_alone = torch.tensor([row])
        alone = truth(poses[row_alone], lens(1, 9_000.0))
        expected = clean_images([maps[classes[row]]], alone, PIXEL_SIZE)[0]
        torch.testing.assert_close(images[row], expected, atol=1e-4, rtol=1e-4)


@settings(deadline=None, max_examples=30)
@given(
    count=st.integers(1, 500),
    shares=st.lists(st.floats(0.1, 10), min_size=1, max_size=4),
    junk=st.floats(0, 0.9),
    seed=st.integers(0, 2**31),
)
def test_numbers_of_the_classes_are_rounded_shares(count: int, shares: list[float], junk: float, seed: int) -> None:
    classes = draw_classes(count, shares, junk, torch.Generator().manual_seed(seed))
    assert classes.shape == (count,)
    assert abs(int((classes == JUNK).sum()) - junk * count) <= 1
    for index, share in enumerate(shares):
        expected = (1 - junk) * share / sum(shares) * count
        assert abs(int((classes == index).sum()) - expected) <= 1
    assert classes.max() < len(shares)


def test_classes_are_mixed(generator: torch.Generator) -> None:
    classes = draw_classes(1000, [1.0, 1.0], 0.0, generator)
    assert abs(float(classes[:500].double().mean()) - 0.5) < 0.1


def test_shifts_and_views_are_spread(generator: torch.Generator) -> None:
    poses = draw_poses(4000, 2.5, generator)
    assert float(poses.shifts.std()) == pytest.approx(2.5, rel=0.04)
    # views uniform on the sphere have mean 0 with standard error 1 / sqrt(3 * 4000) along each axis
    assert poses.rotations[:, 2].mean(0).abs().max() < 5 / math.sqrt(12_000)
