"""Axes over the sphere: how many, one of each pair, evenly spread."""

import pytest
import torch

from cryorbit.geometry.hemisphere import hemisphere


@pytest.mark.parametrize("order", [1, 2, 3])
def test_one_axis_of_each_pair_evenly_spread(order: int) -> None:
    axes = hemisphere(order)
    assert axes.shape == (6 * 4**order, 3)
    torch.testing.assert_close(axes.norm(dim=-1), torch.ones(len(axes)).double())
    nearness = (axes @ axes.T).abs() - torch.eye(len(axes))
    assert float(torch.rad2deg(torch.acos(nearness.max()))) > 0.6 * 58.6 / 2**order
    # evenly spread axes have no preferred direction
    torch.testing.assert_close(axes.T @ axes / len(axes), torch.eye(3).double() / 3, atol=0.01, rtol=0)
