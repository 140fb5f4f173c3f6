"""Floors of a diagonal."""

import torch

from cryorbit.optim.floors import Constant, PartOfGroupMean, PartOfLargest


def test_floors_raise_what_is_small_and_nothing_else() -> None:
    curvature = torch.tensor([8.0, 0.0, 0.1, 0.3])
    assert torch.equal(PartOfLargest(0.025)(curvature), torch.tensor([8.0, 0.2, 0.2, 0.3]))
    assert torch.equal(Constant(0.25)(curvature), torch.tensor([8.0, 0.25, 0.25, 0.3]))
    # means are 4 and 0.2
    by_group = PartOfGroupMean(torch.tensor([0, 0, 1, 1]), 0.75)(curvature)
    torch.testing.assert_close(by_group, torch.tensor([8.0, 3.0, 0.15, 0.3]))
    by_default = PartOfGroupMean(torch.tensor([0, 0, 1, 1]))(curvature)
    torch.testing.assert_close(by_default, torch.tensor([8.0, 0.2, 0.1, 0.3]))
