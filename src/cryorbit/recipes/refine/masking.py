"""Where the density of a refinement may be: a soft ball at first, the outline of the map once it is fine enough."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.evaluation.solvent_mask import outline_resolution, solvent_mask
from cryorbit.recipes.dataset import Dataset
from cryorbit.recipes.masks import read_mask
from cryorbit.recipes.refine.config import RefineConfig
from cryorbit.recipes.refine.state import RefineState
from cryorbit.volumes.voxel import resample


def reference_mask(config: RefineConfig, dataset: Dataset, state: RefineState, size: int) -> Float[Tensor, "m m m"]:
    """Soft mask on a working box of ``size`` voxels: the user's, the map's outline, or the ball around the particle."""
    window = dataset.window(size)
    mask = supplied_mask(config, dataset)
    if mask is not None:
        # band-limited resampling overshoots at the edge
        return resample(mask, size).clamp(0, 1).to(window)
    # before the first pass nothing is resolved
    if dataset.extent / max(state.resolved, 1.0) > config.passes.mask_from:
        return window
    density = resample(state.references.mean((0, 1)), size)
    pixel_size = dataset.extent / size
    resolution = outline_resolution(dataset.extent / state.resolved)
    return solvent_mask(density, pixel_size, resolution, window=window)


def supplied_mask(config: RefineConfig, dataset: Dataset) -> Float[Tensor, "n n n"] | None:
    """The user's mask, if there is one; ``InputError`` if it is not on the particles' grid or not within [0, 1]."""
    if config.mask is None:
        return None
    return read_mask(config.mask, torch.empty((dataset.box,) * 3), dataset.source.pixel_size)
