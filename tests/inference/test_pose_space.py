"""How many poses there are, by which evidence is normalised: those of grids that can be counted."""

import math

import pytest

from cryorbit.geometry.point_groups import point_group
from cryorbit.geometry.so3_grid import hopf_grid, rotation_count, spacing_deg
from cryorbit.inference.pose_space import InPlaneSpace, PoseSpace


@pytest.mark.parametrize("order", [0, 1, 2])
def test_rotations_are_as_many_as_the_grid_has(order: int) -> None:
    assert rotation_count(spacing_deg(order)) == pytest.approx(len(hopf_grid(order)))


def test_poses_are_rotations_times_shifts_of_one_asymmetric_unit() -> None:
    grid = len(hopf_grid(1))
    assert PoseSpace(6.0).count(30.0, 2.0) == pytest.approx(grid * math.pi * 9)
    assert PoseSpace(6.0, point_group("D2")).count(30.0, 2.0) == pytest.approx(grid / 4 * math.pi * 9)
    # half the spacing is eight times the rotations, half the step four times the shifts
    assert PoseSpace(6.0).count(15.0, 1.0) == pytest.approx(32 * PoseSpace(6.0).count(30.0, 2.0))


def test_poses_in_the_plane_are_turns_times_shifts() -> None:
    assert InPlaneSpace(6.0).count(30.0, 2.0) == pytest.approx(12 * math.pi * 9)
    assert InPlaneSpace(6.0).count(15.0, 1.0) == pytest.approx(8 * InPlaneSpace(6.0).count(30.0, 2.0))
