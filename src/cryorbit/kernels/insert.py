"""The adjoint of slicing a Fourier volume: slices scattered trilinearly, into new volumes or onto those there are.

On the CPU slices are shared among threads. Insertion into a small new volume gives every thread its own and adds them
in a fixed order, so the result depends on the number of threads but never on their timing. To large volumes slices are
added in place: planes are dealt out to the threads, every thread goes through all slices, and every voxel gets its
terms in the order of the slices. Neither the result nor the memory then depends on how many threads there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numba
import numpy as np
import torch
from jaxtyping import Complex, Float
from numba import prange
from torch import Tensor

from cryorbit.kernels.compiled import compiled
from cryorbit.kernels.trilinear import cell_around, corners, plane_axes, sample_points

LANES_BYTES = 2**26
"""Of the volumes of all threads together, where each has its own."""


def insert_torch(
    values: Complex[Tensor, "g p"],
    weights: Float[Tensor, "g p"],
    rotations: Float[Tensor, "g 3 3"],
    frequencies: Float[Tensor, "p 2"],
    size: int,
    pad: int,
) -> tuple[Complex[Tensor, "m m h"], Float[Tensor, "m m h"]]:
    """The adjoint of gathering applied to ``values``, and the same scatter of real ``weights``, in plain torch."""
    return _scattered((size, size, size // 2 + 1), values, weights, rotations, frequencies, pad)


def insert_numba(
    values: Complex[Tensor, "g p"],
    weights: Float[Tensor, "g p"],
    rotations: Float[Tensor, "g 3 3"],
    frequencies: Float[Tensor, "p 2"],
    size: int,
    pad: int,
) -> tuple[Complex[Tensor, "m m h"], Float[Tensor, "m m h"]]:
    """The same as a compiled kernel in single precision."""
    lanes = max(1, min(numba.get_num_threads(), len(rotations)))
    shape = (size, size, size // 2 + 1)
    if 12 * lanes * math.prod(shape) > LANES_BYTES:
        volume, density = torch.zeros(shape, dtype=torch.complex64), torch.zeros(shape)
        add_numba(volume, density, values, weights, rotations, frequencies, pad)
        return volume, density
    grids = np.zeros((lanes, *shape, 3), dtype=np.float32)
    _insert(
        values.contiguous().numpy(),
        weights.contiguous().numpy(),
        plane_axes(rotations),
        (pad * frequencies).contiguous().numpy(),
        grids,
    )
    total = torch.from_numpy(grids).sum(0) if lanes > 1 else torch.from_numpy(grids[0])
    return torch.view_as_complex(total[..., :2].contiguous()), total[..., 2].contiguous()


def add_torch(
    volume: Complex[Tensor, "z m h"],
    density: Float[Tensor, "z m h"],
    values: Complex[Tensor, "g p"],
    weights: Float[Tensor, "g p"],
    rotations: Float[Tensor, "g 3 3"],
    frequencies: Float[Tensor, "p 2"],
    pad: int,
) -> None:
    """Add to ``volume`` and ``density``, in place, what insertion makes of the slices, in plain torch."""
    added, added_density = _scattered(volume.shape, values, weights, rotations, frequencies, pad)
    volume += added
    density += added_density


def add_numba(
    volume: Complex[Tensor, "z m h"],
    density: Float[Tensor, "z m h"],
    values: Complex[Tensor, "g p"],
    weights: Float[Tensor, "g p"],
    rotations: Float[Tensor, "g 3 3"],
    frequencies: Float[Tensor, "p 2"],
    pad: int,
) -> None:
    """The same as a compiled kernel in single precision."""
    slices = values.contiguous().numpy(), weights.contiguous().numpy()
    points = (pad * frequencies).contiguous().numpy()
    lanes = numba.get_num_threads()
    lane_of_plane = np.arange(volume.shape[0], dtype=np.int32) % lanes
    sums = torch.view_as_real(volume).numpy(), density.numpy()
    _add(*slices, plane_axes(rotations), points, lanes, lane_of_plane, *sums)


def _scattered(
    shape: Sequence[int],
    values: Complex[Tensor, "g p"],
    weights: Float[Tensor, "g p"],
    rotations: Float[Tensor, "g 3 3"],
    frequencies: Float[Tensor, "p 2"],
    pad: int,
) -> tuple[Complex[Tensor, "z m h"], Float[Tensor, "z m h"]]:
    """New volumes of a shape that hold the slices, in plain torch."""
    points, mirrored = sample_points(rotations.to(weights), frequencies.to(weights), pad)
    upright = torch.where(mirrored, values.conj(), values).flatten()
    volume = torch.zeros(math.prod(shape), dtype=values.dtype, device=values.device)
    density = torch.zeros(math.prod(shape), dtype=weights.dtype, device=weights.device)
    for index, corner_weight in corners(points, shape[1]):
        flat_index, flat_weight = index.flatten(), corner_weight.flatten()
        volume.index_add_(0, flat_index, flat_weight * upright)
        density.index_add_(0, flat_index, flat_weight * weights.flatten())
    return volume.reshape(shape), density.reshape(shape)


@compiled(parallel=True, fastmath=True)
def _insert(values, weights, axes, points, grids):
    lanes, size = grids.shape[0], grids.shape[1]
    count = axes.shape[0]
    for lane in prange(lanes):
        grid = grids[lane]
        for g in range(count * lane // lanes, count * (lane + 1) // lanes):
            r = axes[g]
            for p in range(points.shape[0]):
                w = weights[g, p]
                v = values[g, p]
                if w == 0 and v == 0:
                    continue
                px, py = points[p, 0], points[p, 1]
                x = r[0] * px + r[3] * py
                y = r[1] * px + r[4] * py
                z = r[2] * px + r[5] * py
                re, im = v.real, v.imag
                if x < 0:
                    x, y, z, im = -x, -y, -z, -im
                x0, y0, z0 = int(x), int(np.floor(y)), int(np.floor(z))
                fx, fy, fz = x - np.float32(x0), y - np.float32(y0), z - np.float32(z0)
                for dz in range(2):
                    wz = fz if dz else np.float32(1) - fz
                    iz = z0 + dz
                    iz += size if iz < 0 else 0
                    for dy in range(2):
                        wzy = wz * (fy if dy else np.float32(1) - fy)
                        iy = y0 + dy
                        iy += size if iy < 0 else 0
                        for dx in range(2):
                            c = wzy * (fx if dx else np.float32(1) - fx)
                            cell = grid[iz, iy, x0 + dx]
                            cell[0] += c * re
                            cell[1] += c * im
                            cell[2] += c * w


@compiled(parallel=True, fastmath=True)
def _add(values, weights, axes, points, lanes, lane_of_plane, volume, density):
    size = volume.shape[1]
    one = np.float32(1)
    for lane in prange(lanes):
        for g in range(axes.shape[0]):
            r = axes[g]
            for p in range(points.shape[0]):
                sign, (x0, below, above, near, far), (fx, fy, fz) = cell_around(r, points[p], size)
                w = weights[g, p]
                re, im = values[g, p].real, sign * values[g, p].imag
                for plane, wz in ((near, one - fz), (far, fz)):
                    if lane_of_plane[plane] != lane:
                        continue
                    for line, wy in ((below, one - fy), (above, fy)):
                        c = wz * wy * (one - fx)
                        volume[plane, line, x0, 0] += c * re
                        volume[plane, line, x0, 1] += c * im
                        density[plane, line, x0] += c * w
                        c = wz * wy * fx
                        volume[plane, line, x0 + 1, 0] += c * re
                        volume[plane, line, x0 + 1, 1] += c * im
                        density[plane, line, x0 + 1] += c * w
