"""Values of a map between its voxels, and the map turned about any point."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.volumes.voxel import resample


def rotated(
    volume: Float[Tensor, "m m m"], rotation: Float[Tensor, "3 3"], centre: Float[Tensor, " 3"] | None = None
) -> Float[Tensor, "m m m"]:
    """The map turned about ``centre``, which comes to the middle: ``W(x) = V(rotation^T x + centre)``.

    The centre is ``(x, y, z)`` in voxels from the middle, by default the middle itself. Values are interpolated from a
    map of half the voxel size.
    """
    size = len(volume)
    axis = torch.arange(size, device=volume.device, dtype=volume.dtype) - size // 2
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    points = torch.stack([x, y, z], -1).flatten(0, -2) @ rotation
    if centre is not None:
        points = points + centre
    return sample_map(resample(volume, 2 * size), 2 * points).reshape(size, size, size)


def sample_map(volume: Float[Tensor, "m m m"], points: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b"]:
    """Trilinear values of the map at ``(x, y, z)`` in voxels from its centre; 0 outside."""
    size = len(volume)
    # grid_sample measures positions from -1, the first voxel, to 1, the last
    grid = (points + size // 2) * (2 / (size - 1)) - 1
    values = torch.nn.functional.grid_sample(
        volume[None, None], grid.reshape(1, 1, 1, -1, 3), mode="bilinear", align_corners=True
    )
    return values.reshape(points.shape[:-1])
