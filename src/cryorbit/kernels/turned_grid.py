"""Means of a Fourier volume over rotations that take its grid into itself."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Complex, Float
from numba import prange
from torch import Tensor

from cryorbit.kernels.compiled import compiled, inlined

BLOCK = 16
"""Side of the cubes that are turned one at a time: a cube reads a cube, whereas a line would read across all memory."""


def average_torch(
    volume: Complex[Tensor, "m m h"],
    density: Float[Tensor, "m m h"],
    rotations: Float[Tensor, "r 3 3"],
    mean: Complex[Tensor, "m m h"],
    mean_density: Float[Tensor, "m m h"],
) -> None:
    """Write the means over ``R`` of ``volume(R k)`` and ``density(R k)`` in plain torch, plane after plane."""
    size = volume.shape[0]
    full = torch.fft.fftfreq(size, 1 / size, device=density.device).long()
    y, x = torch.meshgrid(full, torch.arange(size // 2 + 1).to(full), indexing="ij")
    for plane, z in enumerate(full):
        points = torch.stack([x, y, z.expand_as(x)], -1)
        inside = points.square().sum(-1) < (size // 2) ** 2
        mean[plane], mean_density[plane] = 0, 0
        for rotation in rotations.to(full):
            # integer products of this size are sums: matmul of integers runs on few devices
            turned = (points[inside][:, None] * rotation).sum(-1)
            mirrored = turned[:, 0] < 0
            kx, ky, kz = torch.where(mirrored[:, None], -turned, turned).unbind(-1)
            value = volume[kz, ky, kx]
            mean[plane, inside] += torch.where(mirrored, value.conj(), value) / len(rotations)
            mean_density[plane, inside] += density[kz, ky, kx] / len(rotations)


def average_numba(
    volume: Complex[Tensor, "m m h"],
    density: Float[Tensor, "m m h"],
    rotations: Float[Tensor, "r 3 3"],
    mean: Complex[Tensor, "m m h"],
    mean_density: Float[Tensor, "m m h"],
) -> None:
    """The same as a compiled kernel in single precision; threads share the planes."""
    _average(
        torch.view_as_real(volume).numpy(),
        density.numpy(),
        rotations.round().long().contiguous().numpy(),
        torch.view_as_real(mean).numpy(),
        mean_density.numpy(),
    )


@compiled(parallel=True, fastmath=True)
def _average(volume, density, rotations, mean, mean_density):
    size = volume.shape[0]
    share = np.float32(1 / len(rotations))
    for block in prange(-(-size // BLOCK)):
        first, last = block * BLOCK, min((block + 1) * BLOCK, size)
        mean[first:last] = 0
        mean_density[first:last] = 0
        for low in range(0, size, BLOCK):
            for left in range(0, size // 2 + 1, BLOCK):
                for r in range(len(rotations)):
                    _add_turned(volume, density, rotations[r], share, (first, low, left), mean, mean_density)


@inlined(fastmath=True)
def _add_turned(volume, density, rotation, share, start, mean, mean_density):
    """Add a share of the turned volume and density to the means of a cube."""
    size, half = volume.shape[0], volume.shape[0] // 2
    for plane in range(start[0], min(start[0] + BLOCK, size)):
        kz = plane - size if plane >= half else plane
        for line in range(start[1], min(start[1] + BLOCK, size)):
            ky = line - size if line >= half else line
            for kx in range(start[2], min(start[2] + BLOCK, half + 1)):
                if kx * kx + ky * ky + kz * kz >= half * half:
                    continue
                x = rotation[0, 0] * kx + rotation[0, 1] * ky + rotation[0, 2] * kz
                y = rotation[1, 0] * kx + rotation[1, 1] * ky + rotation[1, 2] * kz
                z = rotation[2, 0] * kx + rotation[2, 1] * ky + rotation[2, 2] * kz
                sign = -1 if x < 0 else 1
                x, y, z = sign * x, sign * y, sign * z
                y, z = y + (size if y < 0 else 0), z + (size if z < 0 else 0)
                mean[plane, line, kx, 0] += share * volume[z, y, x, 0]
                mean[plane, line, kx, 1] += share * sign * volume[z, y, x, 1]
                mean_density[plane, line, kx] += share * density[z, y, x]
