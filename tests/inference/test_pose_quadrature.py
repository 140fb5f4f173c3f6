"""Quadratures over poses: weights, node counts of the papers, half turns, shifts, and what is refused."""

import math

import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.inference.pose_quadrature import ShiftPrior, angular_step, pose_quadrature


def test_at_16_per_cent_of_nyquist_there_are_about_95000_poses() -> None:
    quadrature = pose_quadrature(0.16 * 64, 128)
    assert quadrature.directions == 1454
    assert quadrature.count == 1454 * 66


@pytest.mark.parametrize("radius", [2.5, 6.4, 10.24])
def test_weights_are_positive_and_add_up_to_one_over_both_half_turns(radius: float) -> None:
    quadrature = pose_quadrature(radius, 128, ShiftPrior(2.0))
    assert quadrature.log_weight.isfinite().all()
    assert float(2 * quadrature.log_weight.exp().sum()) == pytest.approx(1, abs=1e-12)
    assert float(quadrature.log_shift_weight.exp().sum()) == pytest.approx(1, abs=1e-12)


def test_steps_are_no_longer_than_the_radius_allows() -> None:
    radius = 6.4
    quadrature = pose_quadrature(radius, 128)
    in_plane = len(quadrature.rotations) // quadrature.directions
    assert math.pi / in_plane <= angular_step(radius) < math.pi / (in_plane - 1)
    views = quadrature.rotations[::in_plane, 2]
    nearest = (views @ views.mT - 2 * torch.eye(len(views))).amax(1).acos()
    assert float(nearest.max()) < 1.2 * angular_step(radius)


def test_polynomials_in_the_rotation_have_their_exact_means() -> None:
    quadrature = pose_quadrature(2.0, 64)
    both = torch.cat([quadrature.rotations, quadrature.rotations * torch.tensor([-1.0, -1.0, 1.0])[:, None]])
    weight = quadrature.log_weight.exp().repeat(2)
    for power, mean in ((1, 0.0), (2, 1 / 3), (3, 0.0), (4, 1 / 5)):
        found = torch.einsum("r,rij->ij", weight, both**power)
        torch.testing.assert_close(found, torch.full_like(found, mean), rtol=0, atol=1e-12)


def test_shifts_are_a_truncated_normal_lattice() -> None:
    points, log_weight = ShiftPrior(2.0, 4.0).nodes(1.5)
    assert float(points.norm(dim=1).max()) <= 4
    axis = points[:, 1] == 0
    first, last = log_weight[(points[:, 0] == 0) & axis], log_weight[(points[:, 0] == 3.0) & axis]
    assert float(first - last) == pytest.approx(9 / 8, abs=1e-12)


def test_shifts_reach_two_and_a_half_deviations_by_steps_of_the_reach_at_most() -> None:
    points, _ = ShiftPrior(2.0).nodes(1.0)
    assert float(points[:, 0].max()) == 5
    coarse, _ = ShiftPrior(2.0, 3.0).nodes(100.0)
    assert sorted(coarse.tolist()) == [[-3, 0], [0, -3], [0, 0], [0, 3], [3, 0]]


def test_shifts_are_a_quarter_of_the_finest_wavelength_apart() -> None:
    """A box of 128 at a radius of 6.4 holds wavelengths of 20 pixels."""
    points = pose_quadrature(6.4, 128, ShiftPrior(4.0)).shifts
    assert float(points[points[:, 0] > 1e-6, 0].min()) == pytest.approx(5)


def test_without_a_spread_there_is_one_shift() -> None:
    assert len(pose_quadrature(3.0, 64).shifts) == 1


def test_undersampling_makes_fewer_nodes() -> None:
    assert pose_quadrature(6.4, 128, undersampling=1.5).count < pose_quadrature(6.4, 128).count / 2.5


def test_a_radius_that_no_rule_resolves_is_refused() -> None:
    with pytest.raises(InputError, match="no Lebedev rule"):
        pose_quadrature(40.0, 128)
