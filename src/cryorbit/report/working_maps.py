"""The maps that a job is working on, as its last checkpoint has them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.io.job_record import CHECKPOINT

LARGEST_SIDE = 192
"""Voxels a side above which a working map is not worth the memory that looking at it takes."""


def read_working_maps(folder: Path) -> list[Float[np.ndarray, "m m m"]]:
    """Maps of the classes of a job that is not finished, on its working box; none where the checkpoint has none."""
    file = folder / CHECKPOINT / "state.pt"
    if not file.exists():
        return []
    # mapped, not read: the poses of a million particles are no part of a picture
    state = torch.load(file, map_location="cpu", weights_only=True, mmap=True).get("state")
    volume = _volumes(state) if isinstance(state, Mapping) else None
    if volume is None or volume.ndim != 4 or volume.shape[-1] > LARGEST_SIDE:
        return []
    return [each.float().numpy() for each in volume]


def _volumes(state: Mapping[str, object]) -> Tensor | None:
    """Volumes of the classes: those searched for, or the mean of those of the two half-sets."""
    volume, halves = state.get("volume"), state.get("references")
    if isinstance(halves, Tensor):
        return halves.mean(0)
    return volume if isinstance(volume, Tensor) else None
