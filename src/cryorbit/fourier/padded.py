"""Transforms of volumes padded with zeros, and inverse transforms of which only the middle is kept.

Axis after axis: what is zero is not transformed, and what will be cropped is dropped as soon as it is made. That takes
about half the arithmetic of a whole transform, and a fraction of its memory. Half transforms are laid out as by
``torch.fft.rfftn``; the centre of a volume, voxel ``n // 2``, is the origin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from cryorbit.core.chunks import chunk_size, chunks

PLANES_BYTES = 2**22
"""Of the planes of a volume that are worked on at once."""

Planes: TypeAlias = Callable[[slice], Complex[Tensor, "z q h"]]
"""Gives some planes (constant z) of a half transform."""


def padded_transform(volume: Float[Tensor, "m m m"], size: int) -> Complex[Tensor, "q q h"]:
    """Half transform of the volume padded with zeros to ``size`` voxels."""
    side, half = volume.shape[-1], size // 2 + 1
    middle = _middle(side, size, volume.device)
    like = torch.view_as_complex(volume.new_empty(0, 2))
    rows = like.new_empty(side, size, half)
    step = planes_at_once(size)
    for part in chunks(side, step):
        lines = torch.fft.rfft(_spread(volume[part], middle, -1, size))
        rows[part] = torch.fft.fft(_spread(lines, middle, -2, size), dim=-2)
    transform = like.new_empty(size, size, half)
    for part in chunks(size, step):
        transform[:, part] = torch.fft.fft(_spread(rows[:, part], middle, 0, size), dim=0)
    return transform


def middle_of_inverse(planes: Planes, size: int, side: int, like: Complex[Tensor, "*any"]) -> Float[Tensor, "m m m"]:
    """The middle, ``side`` voxels wide, of the volume of ``size`` voxels whose half transform ``planes`` gives."""
    middle, step = _middle(side, size, like.device), planes_at_once(size)
    rows = like.new_empty(size, side, size // 2 + 1)
    for part in chunks(size, step):
        rows[part] = torch.fft.ifft(planes(part), dim=-2).index_select(-2, middle)
    volume = rows.real.new_empty(side, side, side)
    for part in chunks(side, step):
        columns = torch.fft.ifft(rows[:, part], dim=0).index_select(0, middle)
        volume[:, part] = torch.fft.irfft(columns, n=size).index_select(-1, middle)
    return volume


def planes_at_once(size: int) -> int:
    """How many planes of a half transform of ``size`` voxels fit `PLANES_BYTES` in single precision."""
    return chunk_size(8 * size * (size // 2 + 1), PLANES_BYTES, size)


def _middle(side: int, size: int, device: torch.device) -> Int[Tensor, " m"]:
    """Where the middle ``side`` voxels of a line of ``size`` are once its centre is the origin."""
    return (torch.arange(side, device=device) - side // 2) % size


def _spread(values: Tensor, places: Int[Tensor, " m"], dim: int, size: int) -> Tensor:
    """The values at their places along one axis of ``size``, zero elsewhere."""
    shape = list(values.shape)
    shape[dim] = size
    return values.new_zeros(shape).index_copy_(dim, places, values)
