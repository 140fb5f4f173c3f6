"""What a pass says of poses: the best of an image and of each of its classes, how sure it is, what lies elsewhere."""

import math

import pytest
import torch

from cryorbit.geometry.point_groups import point_group
from cryorbit.geometry.rotations import rotvec_to_matrix
from cryorbit.inference.candidates import CandidatePosterior, Candidates
from cryorbit.inference.pose_estimates import (
    PoseEstimates,
    Reach,
    estimates_of,
    joined_estimates,
    nothing_known,
    posterior_beyond,
)

LATTICE = torch.tensor([[0.0, 0.0], [0.5, 0.0]])
ANGLES = (0.0, 10.0, 50.0, 180.0, 0.0)
"""Of the candidates' rotations about z, degrees."""


def about_z(*degrees: float) -> torch.Tensor:
    vectors = [[0.0, 0.0, math.radians(each)] for each in degrees]
    return rotvec_to_matrix(torch.tensor(vectors, dtype=torch.float64)).float()


@pytest.fixture
def candidates() -> Candidates:
    """Three candidates of one image in its first class and one in its second; one of another image."""
    centre = torch.tensor([[1.0, 0], [2, 0], [3, 0], [4, 0], [5, 0]])
    return Candidates(torch.tensor([0, 0, 0, 0, 1]), torch.tensor([0, 0, 0, 1, 1]), about_z(*ANGLES), centre)


@pytest.fixture
def posterior() -> CandidatePosterior:
    gamma = torch.tensor([[0.1, 0.05], [0.1, 0.3], [0.15, 0.0], [0.0, 0.3], [0.5, 0.5]])
    return CandidatePosterior(gamma, torch.tensor([7.0, 8.0]))


def found(candidates: Candidates, posterior: CandidatePosterior, near: Reach) -> PoseEstimates:
    return estimates_of(candidates, posterior, LATTICE, 2, torch.tensor([[1.0, 2], [3, 4]]), near)


def test_estimates_are_those_of_the_largest_posterior(candidates: Candidates, posterior: CandidatePosterior) -> None:
    best = found(candidates, posterior, Reach(None, math.inf))
    assert torch.equal(best.rotation, candidates.rotation[[1, 4]])
    assert best.shift.tolist() == [[2.5, 0], [5, 0]]
    assert best.klass.tolist() == [0, 1]
    assert best.max_probability.tolist() == pytest.approx([0.3, 0.5])
    torch.testing.assert_close(best.class_posterior, torch.tensor([[0.7, 0.3], [0, 1]]))
    # the squares of an image add up to 0.225, and to 0.5
    assert best.effective.tolist() == pytest.approx([1 / 0.225, 2])
    assert best.log_evidence.tolist() == [7, 8]
    assert (best.overlap.tolist(), best.model_power.tolist()) == ([1, 2], [3, 4])
    assert not best.elsewhere.any()
    assert best.known.all()


def test_a_class_without_candidates_has_the_pose_of_the_best(
    candidates: Candidates, posterior: CandidatePosterior
) -> None:
    best = found(candidates, posterior, Reach(None, math.inf))
    assert torch.equal(best.class_rotation, candidates.rotation[torch.tensor([[1, 3], [4, 4]])])
    assert best.class_shift.tolist() == [[[2.5, 0], [4.5, 0]], [[5, 0], [5, 0]]]


def test_posterior_beyond_the_reach_of_the_best_pose_of_its_class_is_elsewhere(
    candidates: Candidates, posterior: CandidatePosterior
) -> None:
    """From the best one, at 10 degrees, the others of its class are 10 and 40 degrees away."""
    for reach, elsewhere in ((9.0, 0.3), (11.0, 0.15), (39.0, 0.15), (41.0, 0.0)):
        best = found(candidates, posterior, Reach(None, reach))
        assert best.elsewhere.tolist() == pytest.approx([elsewhere, 0], abs=1e-6)


@pytest.mark.parametrize(("symbol", "elsewhere"), [("C1", 0.3 + 0.4 + 0.15), ("C2", 0.4 + 0.15)])
def test_a_symmetry_mate_is_the_same_pose(
    candidates: Candidates, posterior: CandidatePosterior, symbol: str, elsewhere: float
) -> None:
    """Known is no turn at all: 10 and 50 degrees are beyond 5, and half a turn is unless it is a symmetry."""
    known = torch.eye(3).expand(2, 2, 3, 3)
    beyond = posterior_beyond(candidates, posterior, known, Reach(point_group(symbol), 5.0))
    assert beyond.tolist() == pytest.approx([elsewhere, 0])


def test_of_images_that_nobody_has_looked_at_all_is_elsewhere() -> None:
    nothing = nothing_known(3, 4, torch.zeros(1))
    assert not nothing.known.any()
    assert torch.equal(nothing.class_posterior, torch.full((3, 4), 0.25))
    assert torch.equal(nothing.elsewhere, torch.ones(3))
    assert torch.equal(nothing.rotation, torch.eye(3).expand(3, 3, 3))
    assert torch.equal(nothing.class_rotation, torch.eye(3).expand(3, 4, 3, 3))
    for name in ("shift", "klass", "class_shift", "effective", "log_evidence", "overlap", "model_power"):
        assert not getattr(nothing, name).any()
    assert nothing.class_shift.shape == (3, 4, 2)


def test_estimates_of_some_images_take_the_place_of_others(
    candidates: Candidates, posterior: CandidatePosterior
) -> None:
    best, nothing = found(candidates, posterior, Reach(None, 9.0)), nothing_known(4, 2, torch.zeros(1))
    both = nothing.with_some(torch.tensor([3, 1]), best)
    assert both.known.tolist() == [False, True, False, True]
    for name in PoseEstimates.__slots__:
        assert torch.equal(getattr(both[torch.tensor([3, 1])], name), getattr(best, name))
        assert torch.equal(getattr(both[torch.tensor([0, 2])], name), getattr(nothing, name)[:2])
        assert torch.equal(getattr(joined_estimates([best, nothing]), name)[:2], getattr(best, name))
