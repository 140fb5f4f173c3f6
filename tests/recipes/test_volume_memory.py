"""What volumes need of memory: the arrays that are made, and what is told when they do not fit."""

from pathlib import Path
from typing import Any

import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.core.memory import GIB, resident_bytes
from cryorbit.fourier.half_disc import half_disc
from cryorbit.inference.statistics import empty_statistics
from cryorbit.recipes.settings import ParticleSettings
from cryorbit.recipes.volume_memory import VolumeLoad, require_volumes
from cryorbit.volumes.voxel import working_grid


def settings(**changes: Any) -> ParticleSettings:
    return ParticleSettings(particles=Path("particles.star"), output=Path("job"), **changes)


@pytest.mark.parametrize(("box", "radius", "maps"), [(32, 15.0, 1), (64, 20.0, 3)])
def test_the_sums_are_what_is_allocated(box: int, radius: float, maps: int) -> None:
    like = torch.zeros(0, dtype=torch.complex64)
    sums = empty_statistics(working_grid(box, radius), half_disc(box, radius), 2, maps, like)
    arrays = (sums.data, sums.weight)
    allocated = sum(array.numel() * array.element_size() for array in arrays)
    assert VolumeLoad(box, radius, maps).needs(threads=1)["sums over images"] == allocated


def test_a_search_needs_more_and_threads_need_more() -> None:
    known, searched = VolumeLoad(256, 127.0), VolumeLoad(256, 127.0, searched=True)
    assert sum(searched.needs(8).values()) > sum(searched.needs(4).values()) > sum(known.needs(4).values())
    assert known.needs(4) == known.needs(64)


def test_what_does_not_fit_is_told_with_the_resolution_that_does() -> None:
    load = VolumeLoad(512, 255.0)
    asked = settings(memory=resident_bytes() / GIB + 12)
    with pytest.raises(InputError, match=r"needs \d\d\.\d GB of memory \(sums over images") as error:
        require_volumes(asked, load, pixel_size=1.0)
    resolution = float(str(error.value).split("--max-resolution: ")[1].split()[0])
    assert 3.0 < resolution < 8.0
    require_volumes(asked, VolumeLoad(512, 512 / resolution), pixel_size=1.0)
    with pytest.raises(InputError):
        require_volumes(asked, VolumeLoad(512, 512 / (0.97 * resolution)), pixel_size=1.0)


def test_no_resolution_is_offered_where_none_helps() -> None:
    with pytest.raises(InputError) as error:
        require_volumes(settings(memory=0.001), VolumeLoad(512, 255.0, maps=3), pixel_size=1.0)
    assert str(error.value).endswith("mend: give more --memory, fewer classes")
    with pytest.raises(InputError) as error:
        require_volumes(settings(memory=resident_bytes() / GIB + 12), VolumeLoad(512, 255.0))
    assert "--max-resolution" not in str(error.value)


def test_a_small_job_fits_by_default() -> None:
    require_volumes(settings(), VolumeLoad(32, 15.0, maps=2, searched=True))
