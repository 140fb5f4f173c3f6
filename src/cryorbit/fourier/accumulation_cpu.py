"""Insertion into existing volumes as a compiled CPU kernel, single precision.

Planes of the volume are dealt out to the threads, and every thread goes through all slices: nothing is written by two
threads, no thread needs a volume of its own, and every voxel gets its terms in the order of the slices, however many
threads there are.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from jaxtyping import Complex, Float
from numba import njit, prange
from torch import Tensor

SINGLE = (torch.complex64, torch.float32)


def takes(tensor: Tensor) -> bool:
    """Whether the kernel can add to this tensor."""
    return tensor.device.type == "cpu" and tensor.dtype in SINGLE and tensor.is_contiguous()


def add_slices(
    volume: Complex[Tensor, "m m h"],
    density: Float[Tensor, "m m h"],
    values: Complex[Tensor, "g p"],
    weights: Float[Tensor, "g p"],
    rotations: Float[Tensor, "g 3 3"],
    frequencies: Float[Tensor, "p 2"],
    pad: int,
) -> None:
    """Add slices in place; see ``accumulation.add_slices``."""
    rows = rotations[:, :2, :].reshape(-1, 6).contiguous().numpy()
    points = (pad * frequencies).contiguous().numpy()
    lanes = numba.get_num_threads()
    _add(
        values.contiguous().numpy(), weights.contiguous().numpy(), rows, points, lanes, volume.numpy(), density.numpy()
    )


@njit(parallel=True, fastmath=True, cache=True)
def _add(values, weights, rows, points, lanes, volume, density):  # type: ignore[no-untyped-def]
    size = volume.shape[0]
    one = np.float32(1)
    for lane in prange(lanes):
        for g in range(rows.shape[0]):
            r = rows[g]
            for p in range(points.shape[0]):
                px, py = points[p, 0], points[p, 1]
                x = r[0] * px + r[3] * py
                z = r[2] * px + r[5] * py
                sign = -one if x < 0 else one
                z *= sign
                z_floor = int(np.floor(z))
                near = z_floor + size if z_floor < 0 else z_floor
                far = near + 1 if near + 1 < size else 0
                mine_near, mine_far = near % lanes == lane, far % lanes == lane
                if not (mine_near or mine_far):
                    continue
                w = weights[g, p]
                v = values[g, p]
                if w == 0 and v == 0:
                    continue
                x *= sign
                y = sign * (r[1] * px + r[4] * py)
                v = v if sign > 0 else np.conj(v)
                x0, y0 = int(x), int(np.floor(y))
                fx, fy, fz = x - np.float32(x0), y - np.float32(y0), z - np.float32(z_floor)
                for dz in range(2):
                    if not (mine_far if dz else mine_near):
                        continue
                    wz = fz if dz else one - fz
                    iz = far if dz else near
                    for dy in range(2):
                        wzy = wz * (fy if dy else one - fy)
                        iy = y0 + dy
                        iy += size if iy < 0 else 0
                        for dx in range(2):
                            c = wzy * (fx if dx else one - fx)
                            volume[iz, iy, x0 + dx] += c * v
                            density[iz, iy, x0 + dx] += c * w
