"""Means of a Fourier volume over rotations as a compiled CPU kernel, single precision; threads share the planes."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Complex, Float
from numba import njit, prange
from torch import Tensor

BLOCK = 16
"""Side of the cubes that are turned one at a time: a cube reads a cube, whereas a line would read across all memory."""


def average_turned(
    volume: Complex[Tensor, "m m h"],
    density: Float[Tensor, "m m h"],
    rotations: Float[Tensor, "r 3 3"],
    mean: Complex[Tensor, "m m h"],
    mean_density: Float[Tensor, "m m h"],
) -> None:
    """Write the means over ``R`` of ``volume(R k)`` and ``density(R k)``; see ``turned_grid.average_turned``."""
    _average(
        torch.view_as_real(volume).numpy(),
        density.numpy(),
        rotations.float().contiguous().numpy(),
        torch.view_as_real(mean).numpy(),
        mean_density.numpy(),
    )


@njit(parallel=True, fastmath=True, cache=True)
def _average(volume, density, rotations, mean, mean_density):  # type: ignore[no-untyped-def]
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


@njit(fastmath=True, cache=True)
def _add_turned(volume, density, rotation, share, start, mean, mean_density):  # type: ignore[no-untyped-def]
    """Add a share of the turned volume and density to the means of a cube."""
    size, half = volume.shape[0], volume.shape[0] // 2
    for plane in range(start[0], min(start[0] + BLOCK, size)):
        kz = plane - size if plane >= half else plane
        for line in range(start[1], min(start[1] + BLOCK, size)):
            ky = line - size if line >= half else line
            for kx in range(start[2], min(start[2] + BLOCK, half + 1)):
                if kx * kx + ky * ky + kz * kz < half * half:
                    re, im, w = _read(volume, density, rotation, (np.float32(kx), np.float32(ky), np.float32(kz)))
                    mean[plane, line, kx, 0] += share * re
                    mean[plane, line, kx, 1] += share * im
                    mean_density[plane, line, kx] += share * w


@njit(fastmath=True, cache=True)
def _read(volume, density, rotation, point):  # type: ignore[no-untyped-def]
    """Volume (real and imaginary part) and density at a turned point, trilinearly."""
    size, one = volume.shape[0], np.float32(1)
    kx, ky, kz = point
    x = rotation[0, 0] * kx + rotation[0, 1] * ky + rotation[0, 2] * kz
    y = rotation[1, 0] * kx + rotation[1, 1] * ky + rotation[1, 2] * kz
    z = rotation[2, 0] * kx + rotation[2, 1] * ky + rotation[2, 2] * kz
    sign = -one if x < 0 else one
    x, y, z = sign * x, sign * y, sign * z
    x0, y0, z0 = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    fx, fy, fz = x - np.float32(x0), y - np.float32(y0), z - np.float32(z0)
    near, far = z0 + (size if z0 < 0 else 0), z0 + 1 + (size if z0 < -1 else 0)
    below, above = y0 + (size if y0 < 0 else 0), y0 + 1 + (size if y0 < -1 else 0)
    if fx == 0 and fy == 0 and fz == 0:
        cell = volume[near, below, x0]
        return cell[0], sign * cell[1], density[near, below, x0]
    re, im, w = np.float32(0), np.float32(0), np.float32(0)
    for iz, wz in ((near, one - fz), (far, fz)):
        for iy, wy in ((below, one - fy), (above, fy)):
            a, b = wz * wy * (one - fx), wz * wy * fx
            first, second = volume[iz, iy, x0], volume[iz, iy, x0 + 1]
            re += a * first[0] + b * second[0]
            im += a * first[1] + b * second[1]
            w += a * density[iz, iy, x0] + b * density[iz, iy, x0 + 1]
    return re, sign * im, w
