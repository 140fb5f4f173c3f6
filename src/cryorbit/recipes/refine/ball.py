"""The ball that a map is without its structure: its average over each sphere."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def ball_of(volume: Float[Tensor, "k m m m"]) -> Float[Tensor, "k m m m"]:
    """Each map's mean over the spheres about the centre voxel, a voxel thick."""
    size = volume.shape[-1]
    axis = torch.arange(size, device=volume.device) - size // 2
    sphere = (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).sqrt().round().long().flatten()
    points = torch.bincount(sphere)
    means = [torch.bincount(sphere, each.flatten().double()) / points for each in volume]
    return torch.stack([mean[sphere].view(size, size, size) for mean in means]).to(volume)
