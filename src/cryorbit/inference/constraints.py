"""What is known of a volume in real space: it lies in a ball on an empty background, it is centred, it is positive."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.imaging.masks import soft_ball

CORNER_EDGE = 3.0
"""Voxels over which the corners of a box are faded out."""


def windowed(volume: Float[Tensor, "*k m m m"], window: Float[Tensor, "m m m"]) -> Float[Tensor, "*k m m m"]:
    """Each volume with its background level outside the window taken off, times the window.

    The images do not determine the mean density (their zero frequency is not used); an empty background does.
    """
    return (volume - background_level(volume, window)).mul_(window)


def background_level(volume: Float[Tensor, "*k m m m"], window: Float[Tensor, "m m m"]) -> Float[Tensor, "*k 1 1 1"]:
    """Mean of each volume outside the window."""
    outside = (window < 0.02).to(volume).flatten()
    # a product of vectors: the volume times the mask would be another large map
    # a window that fills its box has no outside, and takes no background off
    return (volume.flatten(-3) @ outside / outside.sum().clamp_min(1))[..., None, None, None]


def without_corners(volume: Float[Tensor, "k m m m"]) -> Float[Tensor, "k m m m"]:
    """Each volume within the soft ball that fits its box: images show only parts of the corners."""
    size = volume.shape[-1]
    return windowed(volume, soft_ball(size, size / 2, CORNER_EDGE).to(volume))


def centre_offset(volume: Float[Tensor, "k m m m"]) -> Float[Tensor, "k 3"]:
    """Centre of mass ``(x, y, z)`` of the positive density, in voxels from the centre."""
    mass, size = volume.clamp_min(0), volume.shape[-1]
    axis = torch.arange(size, device=volume.device, dtype=volume.dtype) - size // 2
    # an empty volume, of a class that died, is centred as it is
    total = mass.sum((1, 2, 3)).clamp_min(torch.finfo(volume.dtype).tiny)
    profiles = (mass.sum((1, 2)), mass.sum((1, 3)), mass.sum((2, 3)))
    return torch.stack([profile @ axis / total for profile in profiles], 1)


def centred(value: Float[Tensor, "*any k m m m"], offsets: Float[Tensor, "k 3"]) -> Float[Tensor, "*any k m m m"]:
    """Each class moved by whole voxels so that its offset ``(x, y, z)`` comes to the centre."""
    return torch.stack([rolled(one, offset) for one, offset in zip(value.unbind(-4), offsets, strict=True)], -4)


def rolled(volume: Float[Tensor, "*any m m m"], offset: Float[Tensor, "3"]) -> Float[Tensor, "*any m m m"]:
    """The volume moved by whole voxels so that ``offset`` ``(x, y, z)`` comes to the centre."""
    x, y, z = (-offset.round().long()).tolist()
    return torch.roll(volume, (z, y, x), (-3, -2, -1))
