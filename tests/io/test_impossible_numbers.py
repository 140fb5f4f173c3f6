"""Angles and voxels that no program means: refused by row, or by place."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.imaging.masks import soft_ball
from cryorbit.io.particles import read_particles
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from cryorbit.recipes.map_grid import require_content
from small_sets import save_cs


@pytest.mark.parametrize("label", ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"])
def test_an_angle_of_which_nothing_is_left(star_set: Path, label: str) -> None:
    table = read_star(star_set)
    particles = table["particles"].copy()
    particles.loc[4, label] = 1e12
    write_star(star_set.with_name("turned.star"), table | {"particles": particles})
    with pytest.raises(InputError, match="row 5: an angle is larger than 1,000,000 degrees"):
        read_particles(star_set.with_name("turned.star"))


def test_a_rotation_vector_beyond_ten_turns(cs_set: Path) -> None:
    records = np.load(cs_set)
    records["alignments3D/pose"][4] = 1e12
    save_cs(cs_set, records)
    with pytest.raises(InputError, match="row 5: an angle or a shift is not finite"):
        read_particles(cs_set)


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
