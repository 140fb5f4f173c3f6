"""Trilinear interpolation in half volumes, what the fused kernels share; ``kernels.trilinear`` says what it does.

A program works on a tile of slices times points. Complex numbers are loaded as one integer of 64 bits each: half the
loads of a corner, which are what gathering waits for.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from jaxtyping import Complex, Float, Int64
from torch import Tensor

SLICES = 16
"""Of a tile, the fewest that the products of matrices take."""
POINTS = 32
"""Of a tile: with four values a thread, few enough for its registers."""


def pairs_of(values: Complex[Tensor, "*shape"]) -> Int64[Tensor, "*shape"]:
    """Complex numbers in single precision as the kernels load them."""
    return values.resolve_conj().contiguous().view(torch.int64)


def axes_of(rotations: Float[Tensor, "g 3 3"]) -> Float[Tensor, "g 6"]:
    """The two rows of each rotation that map (kx, ky) to the volume."""
    return rotations[:, :2, :].reshape(-1, 6).float().contiguous()


def padded_points(frequencies: Float[Tensor, "p 2"], pad: int) -> Float[Tensor, "p 2"]:
    """Points ``(kx, ky)`` of a slice in padded Fourier pixels."""
    return (pad * frequencies).float().contiguous()


def tiles(slices: int, points: int) -> tuple[int, int]:
    """Programs that cover so many slices and points."""
    return triton.cdiv(slices, SLICES), triton.cdiv(points, POINTS)


@triton.jit
def load_complex(pairs, index, mask):
    """Real and imaginary parts of the complex numbers at ``index``, zero outside the mask."""
    pair = tl.load(pairs + index, mask, 0)
    return pair.to(tl.int32).to(tl.float32, bitcast=True), (pair >> 32).to(tl.int32).to(tl.float32, bitcast=True)


@triton.jit
def cells_around(axes, slices, is_slice, points, p, is_point):
    """The cell around each point of a tile: sign, lower corner and place within; with -1 it is that of the mate."""
    a = axes + 6 * slices
    kx, ky = tl.load(points + 2 * p, is_point, 0.0)[None, :], tl.load(points + 2 * p + 1, is_point, 0.0)[None, :]
    x = tl.load(a, is_slice, 0.0)[:, None] * kx + tl.load(a + 3, is_slice, 0.0)[:, None] * ky
    y = tl.load(a + 1, is_slice, 0.0)[:, None] * kx + tl.load(a + 4, is_slice, 0.0)[:, None] * ky
    z = tl.load(a + 2, is_slice, 0.0)[:, None] * kx + tl.load(a + 5, is_slice, 0.0)[:, None] * ky
    sign = tl.where(x < 0, -1.0, 1.0)
    x, y, z = sign * x, sign * y, sign * z
    x0, y0, z0 = tl.floor(x), tl.floor(y), tl.floor(z)
    return sign, x0.to(tl.int32), y0.to(tl.int32), z0.to(tl.int32), x - x0, y - y0, z - z0


@triton.jit
def row_of(y, z, size):
    """Index of the first voxel of a row, for wrapped ``y`` and ``z``: in 64 bits, as large grids need."""
    y, z = tl.where(y < 0, y + size, y), tl.where(z < 0, z + size, z)
    return (z.to(tl.int64) * size + y) * (size // 2 + 1)


@triton.jit
def sample(pairs, size, cells, mask):
    """Interpolated values at the points of a tile, real and imaginary parts; ``pairs`` may differ from row to row."""
    sign, x0, y0, z0, fx, fy, fz = cells
    re, im = tl.zeros_like(fx), tl.zeros_like(fx)
    for dz in tl.static_range(2):
        for dy in tl.static_range(2):
            share = (fz if dz else 1 - fz) * (fy if dy else 1 - fy)
            first = row_of(y0 + dy, z0 + dz, size) + x0
            near_re, near_im = load_complex(pairs, first, mask)
            far_re, far_im = load_complex(pairs, first + 1, mask)
            re += share * (near_re + fx * (far_re - near_re))
            im += share * (near_im + fx * (far_im - near_im))
    return re, sign * im
