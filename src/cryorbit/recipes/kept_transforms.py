"""Where a job keeps the transforms of its images for all of its passes, and how much room they get."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch

from cryorbit.core.memory import main_memory_beside
from cryorbit.core.place import place_of_process
from cryorbit.imaging.transform_cache import TransformCache
from cryorbit.io.kept_rows import RowsInFile, RowsInMemory
from cryorbit.recipes.dataset import Dataset
from cryorbit.recipes.settings import ParticleSettings
from cryorbit.recipes.volume_memory import VolumeLoad

PART_OF_MEMORY = 0.5
"""Of what the volumes leave."""
PART_OF_DISK = 0.8
"""Of what is free in the scratch folder, where sums are written, too."""

AnyDataset = TypeVar("AnyDataset", bound=Dataset)


@contextmanager
def keeping_transforms(settings: ParticleSettings, dataset: AnyDataset, *loads: VolumeLoad) -> Iterator[AnyDataset]:
    """The particles of a job with a cache of their transforms, which is gone when the block ends.

    Parameters
    ----------
    settings
        Of the recipe: memory, device, and the scratch folder, without which the cache is in main memory.
    dataset
        The particles.
    loads
        The volumes of the job at its largest moments: how far its passes go out, and what memory they take.
    """
    source = dataset.source
    with TransformCache(
        images=len(source),
        share=-(-len(source) // source.group.size),
        box=source.box,
        largest=max(load.radius for load in loads),
        room=_memory_left(settings, loads) if settings.scratch is None else _disk_left(settings.scratch),
        make_rows=RowsInMemory if settings.scratch is None else partial(RowsInFile, settings.scratch),
    ) as cache:
        yield replace(dataset, source=replace(source, cache=cache))


def _memory_left(settings: ParticleSettings, loads: Sequence[VolumeLoad]) -> int:
    """Bytes of main memory that transforms may take beside the volumes."""
    needed = max(sum(load.needs().values()) for load in loads)
    return int(PART_OF_MEMORY * main_memory_beside(needed, settings.memory, torch.device(settings.device)))


def _disk_left(folder: Path) -> int:
    """Bytes of a folder that transforms of this process may take, beside those of its other processes here."""
    return int(PART_OF_DISK * shutil.disk_usage(folder).free / place_of_process().local_size)
