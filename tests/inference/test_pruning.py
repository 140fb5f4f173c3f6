"""What branch and bound kept at each stage, as means over the images."""

import torch

from cryorbit.inference.branch_and_bound import BestPoses, BranchPlan
from cryorbit.inference.pruning import StagePruning, pruning_of


def test_parts_are_of_all_poses_that_a_stage_scored() -> None:
    plan = BranchPlan(final_spacing=7.5, final_step=2.5, shift_extent=5.0)
    poses = (torch.eye(3).expand(2, 3, 3), torch.zeros(2, 2), torch.zeros(2, dtype=torch.long), torch.zeros(2))
    best = BestPoses(
        *poses,
        evaluated=torch.tensor([[1000, 320], [1000, 640]]),
        bounded=torch.tensor([[400, 6], [20, 18]]),
        kept=torch.tensor([[10, 6], [20, 18]]),
        capped=torch.tensor([[[True, False], [False, False]], [[False, False], [False, False]]]),
    )
    assert pruning_of(best, plan, 20.0) == (
        StagePruning(12.0, 1000.0, 0.21, 0.015, 0.5),
        StagePruning(20.0, 480.0, 0.025, 0.025, 0.0),
    )
