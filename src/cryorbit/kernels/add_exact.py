"""Slices scattered trilinearly onto sums of whole numbers: the same sums in any order, on any number of threads.

What a slice adds to a voxel is rounded to a multiple of a quantum. Whole numbers add without rounding, so that it makes
no difference which thread, process or block of a graphics card adds first. Real part, imaginary part and weight of a
voxel lie side by side: one line of the cache holds them.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from jaxtyping import Complex, Float, Int64
from numba import prange
from torch import Tensor

from cryorbit.kernels.compiled import compiled
from cryorbit.kernels.trilinear import cell_around, corners, plane_axes, sample_points

BYTES_A_POINT = 200
"""Of a slice while it is added in plain torch: its place and corners, and whole numbers that it adds."""
WRITTEN_BYTES = 2**29
"""Of the slices that are added at a time."""


def add_exact_torch(
    counts: Int64[Tensor, "z m h 3"],
    quanta: tuple[float, float],
    values: Complex[Tensor, "g p"],
    weights: Float[Tensor, "g p"],
    rotations: Float[Tensor, "g 3 3"],
    frequencies: Float[Tensor, "p 2"],
    pad: int,
) -> None:
    """Add slices to ``counts`` in place, in plain torch.

    Parameters
    ----------
    counts
        Real part, imaginary part and weight of each voxel of a half volume, in quanta.
    quanta
        Those of the values and of the weights.
    values, weights, rotations, frequencies, pad
        The slices, as for ``insert_torch``.
    """
    at_once = max(1, WRITTEN_BYTES // (BYTES_A_POINT * len(frequencies)))
    for first in range(0, len(values), at_once):
        some = slice(first, first + at_once)
        _add_some(
            counts.view(-1, 3), counts.shape[1], quanta, values[some], weights[some], rotations[some], frequencies, pad
        )


def _add_some(
    counts: Int64[Tensor, "v 3"],
    size: int,
    quanta: tuple[float, float],
    values: Complex[Tensor, "g p"],
    weights: Float[Tensor, "g p"],
    rotations: Float[Tensor, "g 3 3"],
    frequencies: Float[Tensor, "p 2"],
    pad: int,
) -> None:
    points, mirrored = sample_points(rotations.to(weights), frequencies.to(weights), pad)
    upright = torch.where(mirrored, values.conj(), values) / quanta[0]
    parts = torch.stack([upright.real, upright.imag, weights / quanta[1]], -1)
    for index, corner_weight in corners(points, size):
        counts.index_add_(0, index.flatten(), (corner_weight[..., None] * parts).round().long().flatten(0, 1))


def add_exact_numba(
    counts: Int64[Tensor, "z m h 3"],
    quanta: tuple[float, float],
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
    lane_of_plane = np.arange(counts.shape[0], dtype=np.int32) % lanes
    per_unit = np.float32(1 / quanta[0]), np.float32(1 / quanta[1])
    _add_exact(*slices, plane_axes(rotations), points, lanes, lane_of_plane, per_unit, counts.numpy())


@compiled(parallel=True, fastmath=True)
def _add_exact(values, weights, axes, points, lanes, lane_of_plane, per_unit, counts):
    size = counts.shape[1]
    one = np.float32(1)
    for lane in prange(lanes):
        for g in range(axes.shape[0]):
            r = axes[g]
            for p in range(points.shape[0]):
                sign, (x0, below, above, near, far), (fx, fy, fz) = cell_around(r, points[p], size)
                w = per_unit[1] * weights[g, p]
                re, im = per_unit[0] * values[g, p].real, sign * per_unit[0] * values[g, p].imag
                for plane, wz in ((near, one - fz), (far, fz)):
                    if lane_of_plane[plane] != lane:
                        continue
                    for line, wy in ((below, one - fy), (above, fy)):
                        c = wz * wy * (one - fx)
                        counts[plane, line, x0, 0] += np.int64(np.rint(c * re))
                        counts[plane, line, x0, 1] += np.int64(np.rint(c * im))
                        counts[plane, line, x0, 2] += np.int64(np.rint(c * w))
                        c = wz * wy * fx
                        counts[plane, line, x0 + 1, 0] += np.int64(np.rint(c * re))
                        counts[plane, line, x0 + 1, 1] += np.int64(np.rint(c * im))
                        counts[plane, line, x0 + 1, 2] += np.int64(np.rint(c * w))
