"""Pose errors: the gauge of a moved map, outliers, symmetry, and errors of known size."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from moved_phantoms import MIRROR, moved

from cryorbit.core.data import Poses
from cryorbit.evaluation.gauge import find_gauge, mirror_rotations
from cryorbit.evaluation.poses import pose_errors
from cryorbit.geometry.point_groups import point_group
from cryorbit.geometry.rotations import angular_distance, random_rotations, rotvec_to_matrix
from cryorbit.simulate.phantoms import blob_projections, random_blobs

C1 = torch.eye(3, dtype=torch.float64)[None]


def random_poses(count: int, generator: torch.Generator) -> Poses:
    """Uniform rotations, shifts of two pixels."""
    shifts = 2.0 * torch.randn(count, 2, generator=generator, dtype=torch.float64)
    return Poses(random_rotations(count, generator), shifts)


def poses_in_moved_map(true: Poses, rotation: torch.Tensor, shift: torch.Tensor, mirrored: bool) -> Poses:
    """Poses that give, of the map moved by ``x -> rotation J x + shift``, the images the true poses give of the map."""
    turned = true.rotations @ MIRROR if mirrored else true.rotations
    moved_rotations = turned @ rotation.T
    if mirrored:
        # a mirrored map is seen from a proper rotation; the sign of the third row does not change a projection
        moved_rotations = MIRROR @ moved_rotations
    return Poses(moved_rotations, true.shifts + moved_rotations[:, :2] @ shift)


@pytest.mark.parametrize("mirrored", [False, True])
def test_poses_of_a_moved_map_are_right(mirrored: bool, generator: torch.Generator) -> None:
    true = random_poses(60, generator)
    rotation = random_rotations(1, generator)[0]
    shift = torch.tensor([2.0, -1.0, 3.0]).double()
    estimated = poses_in_moved_map(true, rotation, shift, mirrored)
    blobs = random_blobs(32, generator)
    images = blob_projections(blobs, true.rotations[:4], 64)
    images_of_moved = blob_projections(moved(blobs, rotation, shift, mirrored), estimated.rotations[:4], 64)
    # the particle sits at minus the shift: centre both
    frequency = torch.fft.fftfreq(64, dtype=torch.float64)

    def placed(image: torch.Tensor, origin: torch.Tensor) -> torch.Tensor:
        phase = frequency * origin[0] + frequency[:, None] * origin[1]
        return torch.fft.ifft2(torch.fft.fft2(image) * torch.exp(2j * torch.pi * phase)).real

    for number in range(4):
        seen = placed(images[number], true.shifts[number])
        seen_of_moved = placed(images_of_moved[number], estimated.shifts[number])
        # the narrowest blobs still have 3e-4 of their amplitude at Nyquist
        torch.testing.assert_close(seen, seen_of_moved, rtol=0, atol=1e-4 * float(seen.max()))

    found = pose_errors(estimated, true, pixel_size=2.0)
    assert found.gauge.hand_flipped == mirrored
    for error in (found.angle_deg, found.view_deg, found.in_plane_deg, found.shift_A):
        assert float(error.max()) < 1e-5
    # the map's own alignment is the inverse motion, its mirror taken first
    undo, back = rotation.T, -rotation.T @ shift
    if mirrored:
        undo, back = MIRROR @ undo @ MIRROR, MIRROR @ back
    torch.testing.assert_close(found.gauge.rotation.T, undo, rtol=0, atol=1e-8)
    torch.testing.assert_close(found.drift_A, -2.0 * back, rtol=0, atol=1e-6)


@pytest.mark.parametrize("mirrored", [False, True])
def test_most_poses_may_be_random(mirrored: bool, generator: torch.Generator) -> None:
    true = random_poses(1000, generator)
    shift = torch.tensor([1.0, 2.0, -3.0]).double()
    estimated = poses_in_moved_map(true, random_rotations(1, generator)[0], shift, mirrored)
    wrong = torch.rand(1000, generator=generator) < 0.6
    shaken = rotvec_to_matrix(torch.deg2rad(1.0 * torch.randn(1000, 3, generator=generator, dtype=torch.float64)))
    rotations = torch.where(wrong[:, None, None], random_rotations(1000, generator), shaken @ estimated.rotations)
    shifts = torch.where(wrong[:, None], 5.0 * torch.randn(1000, 2, generator=generator), estimated.shifts)
    found = pose_errors(Poses(rotations, shifts), true, 1.0)
    assert found.gauge.hand_flipped == mirrored
    right = ~wrong
    # a Maxwell distribution of scale 1 degree has its median at 1.54
    assert float(found.angle_deg[right].median()) == pytest.approx(1.54, abs=0.12)
    assert float(found.angle_deg[wrong].median()) > 90
    assert float(found.shift_A[right].median()) < 0.2
    assert found.gauge.support == pytest.approx(0.4, abs=0.05)


def test_view_and_in_plane_errors_are_told_apart(generator: torch.Generator) -> None:
    true = random_poses(300, generator)
    turn = torch.zeros(300, 3, dtype=torch.float64)
    turn[:40, 2] = torch.deg2rad(torch.tensor(5.0))
    turn[40:80, 0] = torch.deg2rad(torch.tensor(7.0))
    found = pose_errors(Poses(rotvec_to_matrix(turn) @ true.rotations, true.shifts), true, 1.0)
    expected = [(slice(0, 40), (5, 0, 5)), (slice(40, 80), (7, 7, 0)), (slice(80, 300), (0, 0, 0))]
    for rows, values in expected:
        errors = (found.angle_deg, found.view_deg, found.in_plane_deg)
        for error, value in zip(errors, values, strict=True):
            torch.testing.assert_close(error[rows], torch.full_like(error[rows], float(value)), rtol=0, atol=1e-3)


def test_shift_error_is_in_angstrom(generator: torch.Generator) -> None:
    true = random_poses(200, generator)
    shifts = true.shifts.clone()
    shifts[:10, 0] += 3.0
    found = pose_errors(Poses(true.rotations, shifts), true, 2.0)
    torch.testing.assert_close(found.shift_A[:10], torch.full((10,), 6.0).double(), rtol=0, atol=1e-3)
    assert float(found.shift_A[10:].max()) < 1e-3


@pytest.mark.parametrize("symbol", ["C4", "D3", "O"])
def test_symmetry_mates_are_the_same_pose(symbol: str, generator: torch.Generator) -> None:
    group = point_group(symbol)
    true = random_poses(200, generator)
    mates = group[torch.randint(len(group), (200,), generator=generator)]
    gauge = random_rotations(1, generator)[0]
    estimated = Poses(true.rotations @ mates @ gauge, true.shifts)
    assert float(pose_errors(estimated, true, 1.0, group).angle_deg.max()) < 1e-5
    assert float(pose_errors(estimated, true, 1.0).angle_deg.median()) > 20


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10_000), flipped=st.booleans())
def test_errors_do_not_depend_on_the_frame(seed: int, flipped: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    true = random_poses(100, generator)
    noise = rotvec_to_matrix(0.1 * torch.randn(100, 3, generator=generator, dtype=torch.float64))
    estimated = Poses(noise @ true.rotations, true.shifts)
    rotations = estimated.rotations @ random_rotations(1, generator)[0]
    turned = Poses(mirror_rotations(rotations) if flipped else rotations, true.shifts)
    here, there = pose_errors(estimated, true, 1.0), pose_errors(turned, true, 1.0)
    assert there.gauge.hand_flipped == flipped
    torch.testing.assert_close(here.angle_deg, there.angle_deg, rtol=0, atol=0.05)


def test_gauge_of_clean_poses_is_exact(generator: torch.Generator) -> None:
    true = random_rotations(30, generator)
    wanted = random_rotations(1, generator)[0]
    found = find_gauge(true @ wanted.T, true, C1)
    assert float(angular_distance(found.rotation, wanted)) < 1e-6
    assert found.support == pytest.approx(1.0)


def test_summary_has_medians_and_90_per_cent(generator: torch.Generator) -> None:
    true = random_poses(101, generator)
    summary = pose_errors(true, true, 1.0).summary()
    assert set(summary) == {
        *("angle_median_deg", "angle_p90_deg", "view_median_deg", "view_p90_deg"),
        *("in_plane_median_deg", "in_plane_p90_deg", "shift_median_A", "shift_p90_A"),
    }
    assert max(summary.values()) < 1e-5
