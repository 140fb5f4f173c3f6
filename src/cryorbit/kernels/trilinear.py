"""Trilinear interpolation in half volumes, what gathering, inserting and scoring share: in plain torch, and compiled.

A half volume has M planes (z) of M rows (y) and M // 2 + 1 columns (x). Two planes are enough, z = 0 and 1, where all
slices lie in z = 0: the second is met with weight zero alone.

The compiled part interpolates one block of points of one slice. Where each point lies and what its corners weigh is
computed first, in vector instructions, and the corners are fetched after; a loop that does both does not compile to
vector instructions. Arrays are one-dimensional for the same reason.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from cryorbit.kernels.compiled import inlined

BLOCK = 128
"""Points at a time: what a block needs stays in the innermost cache."""
TWO, THREE, FOUR, FIVE = 2 * BLOCK, 3 * BLOCK, 4 * BLOCK, 5 * BLOCK


def sample_points(
    rotations: Float[Tensor, "g 3 3"], frequencies: Float[Tensor, "p 2"], pad: int
) -> tuple[Float[Tensor, "g p 3"], Bool[Tensor, "g p"]]:
    """Points ``(x, y, z)`` with x >= 0 in padded Fourier pixels, and which of them were mirrored to get there."""
    points = pad * torch.einsum("pi,gij->gpj", frequencies, rotations[:, :2, :])
    mirrored = points[..., 0] < 0
    return torch.where(mirrored[..., None], -points, points), mirrored


def corners(points: Float[Tensor, "g p 3"], size: int) -> Iterator[tuple[Int[Tensor, "g p"], Float[Tensor, "g p"]]]:
    """Flat index and weight of each of the eight corners of the cell around each point."""
    base = points.floor()
    above = points - base
    below = 1 - above
    x, y, z = base.long().unbind(-1)
    shares = tuple(zip(below.unbind(-1), above.unbind(-1), strict=True))
    for dz in (0, 1):
        for dy in (0, 1):
            row = (((z + dz) % size) * size + (y + dy) % size) * (size // 2 + 1)
            for dx in (0, 1):
                yield row + (x + dx), shares[0][dx] * shares[1][dy] * shares[2][dz]


def plane_axes(rotations: Float[Tensor, "g 3 3"]) -> NDArray[np.float32]:
    """The two rows of each rotation that map (kx, ky) to the volume, as ``(g, 6)``."""
    return rotations[:, :2, :].reshape(-1, 6).float().contiguous().numpy()


@inlined(fastmath=True)
def cell_around(rotation, point, size):
    """The cell around a point of a slice: sign, corners and place within, where a sign of -1 takes the mate's.

    ``rotation`` holds the six numbers that map (kx, ky) to the volume, ``point`` kx and ky in padded Fourier pixels.
    Corners are the lower x, both y and both z, wrapped; the place is the distance from the lower ones.
    """
    one = np.float32(1)
    x = rotation[0] * point[0] + rotation[3] * point[1]
    y = rotation[1] * point[0] + rotation[4] * point[1]
    z = rotation[2] * point[0] + rotation[5] * point[1]
    sign = -one if x < 0 else one
    x, y, z = sign * x, sign * y, sign * z
    x0, y0, z0 = int(x), int(np.floor(y)), int(np.floor(z))
    near, far = z0 + (size if z0 < 0 else 0), z0 + 1 + (size if z0 < -1 else 0)
    below, above = y0 + (size if y0 < 0 else 0), y0 + 1 + (size if y0 < -1 else 0)
    return sign, (x0, below, above, near, far), (x - np.float32(x0), y - np.float32(y0), z - np.float32(z0))


@inlined(fastmath=True)
def block_scratch():
    """Memory that ``sample_block`` works in: offsets of four pairs of corners and six weights of every point."""
    return np.empty(4 * BLOCK, dtype=np.int32), np.empty(6 * BLOCK, dtype=np.float32)


@inlined(fastmath=True)
def sample_block(grid, size, rotation, points, scratch, block):
    """Values of a slice at up to ``BLOCK`` points, real and imaginary parts into the two arrays of ``block``.

    ``grid`` is a flat half volume of ``size``; ``rotation`` holds the six numbers that map (kx, ky) to the volume;
    ``points`` are kx and ky in padded Fourier pixels.
    """
    offset, weight = scratch
    re, im = block
    _locate(size, rotation, points, offset, weight)
    next_x = np.uintp(1)
    for i in range(points[0].shape[0]):
        # unsigned, or every access would look out for a negative index
        a, b = np.uintp(offset[i]), np.uintp(offset[BLOCK + i])
        c, d = np.uintp(offset[TWO + i]), np.uintp(offset[THREE + i])
        wa, wb, wc, wd = weight[i], weight[BLOCK + i], weight[TWO + i], weight[THREE + i]
        near = wa * grid[a] + wb * grid[b] + wc * grid[c] + wd * grid[d]
        far = wa * grid[a + next_x] + wb * grid[b + next_x] + wc * grid[c + next_x] + wd * grid[d + next_x]
        value = near + weight[FOUR + i] * (far - near)
        re[i] = value.real
        im[i] = weight[FIVE + i] * value.imag


@inlined(fastmath=True)
def _locate(size, rotation, points, offset, weight):
    """Offsets and weights of the pairs of corners of each point, its place between them, its sign if mirrored."""
    kx, ky = points
    r0, r1, r2, r3, r4, r5 = rotation[0], rotation[1], rotation[2], rotation[3], rotation[4], rotation[5]
    one, side, row = np.float32(1), np.int32(size), np.int32(size // 2 + 1)
    plane = np.int32(row * side)
    for i in range(kx.shape[0]):
        x = r0 * kx[i] + r3 * ky[i]
        y = r1 * kx[i] + r4 * ky[i]
        z = r2 * kx[i] + r5 * ky[i]
        sign = -one if x < 0 else one
        x, y, z = sign * x, sign * y, sign * z
        x_floor, y_floor, z_floor = np.floor(x), np.floor(y), np.floor(z)
        y0, z0 = np.int32(y_floor), np.int32(z_floor)
        y1, z1 = np.int32(y0 + 1), np.int32(z0 + 1)
        y0 = np.int32(y0 + side) if y0 < 0 else y0
        y1 = np.int32(y1 + side) if y1 < 0 else y1
        z0 = np.int32(z0 + side) if z0 < 0 else z0
        z1 = np.int32(z1 + side) if z1 < 0 else z1
        near, far = np.int32(y0 * row + np.int32(x_floor)), np.int32(y1 * row + np.int32(x_floor))
        offset[i], offset[BLOCK + i] = z0 * plane + near, z0 * plane + far
        offset[TWO + i], offset[THREE + i] = z1 * plane + near, z1 * plane + far
        fy, fz = y - y_floor, z - z_floor
        weight[i], weight[BLOCK + i] = (one - fy) * (one - fz), fy * (one - fz)
        weight[TWO + i], weight[THREE + i] = (one - fy) * fz, fy * fz
        weight[FOUR + i], weight[FIVE + i] = x - x_floor, sign
