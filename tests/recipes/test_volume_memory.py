"""What volumes need of memory: the arrays that are made, and what is told when they do not fit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.core.memory import GIB, resident_bytes
from cryorbit.fourier.half_disc import half_disc
from cryorbit.fourier.interpolation import add_slices
from cryorbit.geometry.rotations import random_rotations
from cryorbit.inference.statistics import empty_volumes
from cryorbit.recipes.settings import ParticleSettings
from cryorbit.recipes.volume_memory import VolumeLoad, require_volumes
from cryorbit.volumes.voxel import PAD, working_grid


def settings(**changes: Any) -> ParticleSettings:
    return ParticleSettings(particles=Path("particles.star"), output=Path("job"), **changes)


@pytest.mark.parametrize(("box", "radius", "maps"), [(128, 63.0, 1), (128, 40.0, 3)])
def test_the_sums_are_what_slices_write_to(box: int, radius: float, maps: int) -> None:
    """Large sums of no images take nothing; slices of all views take the rows within their circle."""
    like = torch.zeros(0, dtype=torch.complex64)
    grid, disc = working_grid(box, radius), half_disc(box, radius)
    before = resident_bytes()
    data, weight = empty_volumes(grid, 2, maps, like)
    allocated = sum(array.numel() * array.element_size() for array in (data, weight))
    assert resident_bytes() - before < 0.1 * allocated
    ones = torch.ones(200, len(disc))
    rotations = random_rotations(200, torch.Generator().manual_seed(1)).float()
    add_slices(data[0, 0], weight[0, 0], ones.to(like.dtype), ones, rotations, disc.frequencies, PAD)
    written = float((weight[0, 0] > 0).any(-1).float().mean())
    assert VolumeLoad(box, radius, maps).needs()["sums over images"] == pytest.approx(written * allocated, rel=0.02)


def test_searches_classes_symmetry_and_poses_need_more() -> None:
    known = VolumeLoad(256, 127.0)
    changes: list[dict[str, Any]] = [{"maps": 2}, {"symmetric": True}, {"sums": 5}, {"cells": 10**7}, {"box": 384}]
    for change in changes:
        assert sum(replace(known, **change).needs().values()) > 1.1 * sum(known.needs().values())
    searched = replace(known, searched=True)
    assert sum(replace(searched, maps=2).needs().values()) > 1.5 * sum(searched.needs().values())


def test_what_does_not_fit_is_told_with_the_resolution_that_does() -> None:
    load = VolumeLoad(512, 255.0)
    asked = settings(memory=resident_bytes() / GIB + 12)
    with pytest.raises(InputError, match=r"needs \d\d\.\d GB of memory \(sums over images") as error:
        require_volumes(asked, load, pixel_size=1.0)
    assert "allow more memory (--memory) or a coarser resolution" in str(error.value)
    resolution = float(str(error.value).split("--max-resolution ")[1].rstrip(")"))
    assert 2.0 < resolution < 3.0
    require_volumes(asked, VolumeLoad(512, 512 / resolution), pixel_size=1.0)
    with pytest.raises(InputError):
        require_volumes(asked, VolumeLoad(512, 512 / (0.9 * resolution)), pixel_size=1.0)


def test_no_resolution_is_offered_where_none_helps() -> None:
    with pytest.raises(InputError) as error:
        require_volumes(settings(memory=0.001), VolumeLoad(512, 255.0, maps=3), pixel_size=1.0)
    assert str(error.value).endswith(": allow more memory (--memory) or fewer classes")
    assert "--threads" not in str(error.value)
    with pytest.raises(InputError) as error:
        require_volumes(settings(memory=resident_bytes() / GIB + 12), VolumeLoad(512, 255.0))
    assert "--max-resolution" not in str(error.value)


def test_a_small_job_fits_by_default() -> None:
    require_volumes(settings(), VolumeLoad(32, 15.0, maps=2, searched=True))
