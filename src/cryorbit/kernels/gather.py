"""Slices of a Fourier volume by trilinear interpolation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Complex, Float, Int
from numba import prange
from torch import Tensor

from cryorbit.kernels.compiled import compiled
from cryorbit.kernels.trilinear import BLOCK, block_scratch, corners, plane_axes, sample_block, sample_points

Gather = Callable[[Tensor, Tensor, Tensor, int], Tensor]
"""Slices of a volume, as ``gather_torch`` takes and gives them."""


def gather_torch(
    volume: Complex[Tensor, "z m h"],
    rotations: Float[Tensor, "g 3 3"],
    frequencies: Float[Tensor, "p 2"],
    pad: int,
) -> Complex[Tensor, "g p"]:
    """Slices of a half ``volume`` in G poses at P points of the half plane, in plain torch."""
    points, mirrored = sample_points(rotations.to(volume.real), frequencies.to(volume.real), pad)
    size = volume.shape[1]
    flat = volume.flatten()
    slices = torch.zeros(points.shape[:-1], dtype=volume.dtype, device=volume.device)
    for index, weight in corners(points, size):
        slices += weight * flat[index]
    return torch.where(mirrored, slices.conj(), slices)


def gather_numba(
    volume: Complex[Tensor, "z m h"],
    rotations: Float[Tensor, "g 3 3"],
    frequencies: Float[Tensor, "p 2"],
    pad: int,
) -> Complex[Tensor, "g p"]:
    """The same as a compiled kernel in single precision; threads share the slices."""
    slices = torch.empty(len(rotations), len(frequencies), dtype=torch.complex64)
    kx, ky = (pad * frequencies).mT.contiguous().numpy()
    _gather(volume.flatten().numpy(), volume.shape[1], plane_axes(rotations), (kx, ky), slices.numpy())
    return slices


def gather_by_class(
    gather: Gather,
    klass: Int[Tensor, " e"],
    rotation: Float[Tensor, "e 3 3"],
    volumes: Complex[Tensor, "k z m h"],
    frequencies: Float[Tensor, "p 2"],
    pad: int,
) -> Complex[Tensor, "e p"]:
    """The slice of each class in each rotation."""
    if len(volumes) == 1:
        return gather(volumes[0], rotation, frequencies, pad)
    slices = volumes.new_empty(len(klass), len(frequencies))
    for k, volume in enumerate(volumes):
        mine = klass == k
        slices[mine] = gather(volume, rotation[mine], frequencies, pad)
    return slices


@compiled(parallel=True, fastmath=True)
def _gather(grid, size, axes, points, slices):
    kx, ky = points
    count = kx.shape[0]
    for g in prange(axes.shape[0]):
        scratch = block_scratch()
        re, im = np.empty(BLOCK, dtype=np.float32), np.empty(BLOCK, dtype=np.float32)
        for first in range(0, count, BLOCK):
            last = min(first + BLOCK, count)
            sample_block(grid, size, axes[g], (kx[first:last], ky[first:last]), scratch, (re, im))
            for i in range(last - first):
                slices[g, first + i] = complex(re[i], im[i])
