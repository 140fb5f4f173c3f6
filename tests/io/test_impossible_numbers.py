"""Voxels that no program means: refused by place."""

import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.imaging.masks import soft_ball
from cryorbit.recipes.map_grid import require_content


@pytest.mark.parametrize("value", [1e6, -1e6, 1e30])
def test_a_voxel_far_from_all_others(value: float) -> None:
    volume = soft_ball(32, 8, 3) + 0.1 * torch.randn(32, 32, 32, generator=torch.Generator().manual_seed(1))
    require_content(volume, None)
    volume[3, 4, 5] = value
    with pytest.raises(InputError, match=r"voxel \(5, 4, 3\) \(x, y, z\)"):
        require_content(volume, None)


@pytest.mark.parametrize("width", [0.5, 1.0, 4.0])
def test_a_map_of_one_narrow_blob_is_a_map(width: float) -> None:
    axis = torch.arange(48) - 24.0
    distance = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2
    require_content(torch.exp(-0.5 * distance / width**2), None)
