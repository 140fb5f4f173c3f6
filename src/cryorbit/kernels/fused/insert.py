"""Slices scattered trilinearly, in place and in one launch: references in ``kernels.insert`` and ``kernels.add_exact``.

Every point adds to the eight corners of its cell by atomic additions. Whole numbers make the same sums in any order;
sums of floating-point numbers differ in their last bits from run to run.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from jaxtyping import Complex, Float, Int64
from torch import Tensor

from cryorbit.kernels.fused.trilinear import (
    POINTS,
    SLICES,
    axes_of,
    cells_around,
    load_complex,
    padded_points,
    pairs_of,
    row_of,
    tiles,
)


def add_exact_fused(
    counts: Int64[Tensor, "z m h 3"],
    quanta: tuple[float, float],
    values: Complex[Tensor, "g p"],
    weights: Float[Tensor, "g p"],
    rotations: Float[Tensor, "g 3 3"],
    frequencies: Float[Tensor, "p 2"],
    pad: int,
) -> None:
    """``add_exact_torch`` in single precision."""
    per_unit = 1 / quanta[0], 1 / quanta[1]
    _scatter((counts[..., :2], counts[..., 2]), per_unit, values, weights, rotations, frequencies, pad)


def insert_fused(
    values: Complex[Tensor, "g p"],
    weights: Float[Tensor, "g p"],
    rotations: Float[Tensor, "g 3 3"],
    frequencies: Float[Tensor, "p 2"],
    size: int,
    pad: int,
) -> tuple[Complex[Tensor, "m m h"], Float[Tensor, "m m h"]]:
    """``insert_torch`` in single precision."""
    volume = values.new_zeros(size, size, size // 2 + 1)
    density = torch.zeros_like(volume.real)
    add_fused(volume, density, values, weights, rotations, frequencies, pad)
    return volume, density


def add_fused(
    volume: Complex[Tensor, "z m h"],
    density: Float[Tensor, "z m h"],
    values: Complex[Tensor, "g p"],
    weights: Float[Tensor, "g p"],
    rotations: Float[Tensor, "g 3 3"],
    frequencies: Float[Tensor, "p 2"],
    pad: int,
) -> None:
    """``add_torch`` in single precision."""
    _scatter((torch.view_as_real(volume), density), (1.0, 1.0), values, weights, rotations, frequencies, pad)


def _scatter(
    sums: tuple[Tensor, Tensor],
    per_unit: tuple[float, float],
    values: Complex[Tensor, "g p"],
    weights: Float[Tensor, "g p"],
    rotations: Float[Tensor, "g 3 3"],
    frequencies: Float[Tensor, "p 2"],
    pad: int,
) -> None:
    """Add both parts of the values, and the weights, each in its unit, to the two sums."""
    if not values.numel():
        return
    data, density = sums
    _add[tiles(*values.shape)](
        data,
        density,
        density.shape[1],
        *per_unit,
        axes_of(rotations),
        padded_points(frequencies, pad),
        pairs_of(values),
        weights.contiguous(),
        *values.shape,
        IS_WHOLE=not density.is_floating_point(),
        DATA_STRIDE=data.stride(2),
        DENSITY_STRIDE=density.stride(2),
        SLICES=SLICES,
        POINTS=POINTS,
    )


@triton.jit
def _add(
    data,
    density,
    size,
    values_per_unit,
    weights_per_unit,
    axes,
    points,
    values,
    weights,
    slices,
    count,
    IS_WHOLE: tl.constexpr,
    DATA_STRIDE: tl.constexpr,
    DENSITY_STRIDE: tl.constexpr,
    SLICES: tl.constexpr,
    POINTS: tl.constexpr,
):
    g = tl.program_id(0) * SLICES + tl.arange(0, SLICES)
    p = tl.program_id(1) * POINTS + tl.arange(0, POINTS)
    is_slice, is_point = g < slices, p < count
    mask = is_slice[:, None] & is_point[None, :]
    sign, x0, y0, z0, fx, fy, fz = cells_around(axes, g, is_slice, points, p, is_point)
    place = g[:, None].to(tl.int64) * count + p[None, :]
    re, im = load_complex(values, place, mask)
    re, im = values_per_unit * re, values_per_unit * sign * im
    w = weights_per_unit * tl.load(weights + place, mask, 0.0)
    for dz in tl.static_range(2):
        for dy in tl.static_range(2):
            row = row_of(y0 + dy, z0 + dz, size) + x0
            for dx in tl.static_range(2):
                share = (fz if dz else 1 - fz) * (fy if dy else 1 - fy) * (fx if dx else 1 - fx)
                voxel = data + DATA_STRIDE * (row + dx)
                _add_one(voxel, share * re, mask, IS_WHOLE)
                _add_one(voxel + 1, share * im, mask, IS_WHOLE)
                _add_one(density + DENSITY_STRIDE * (row + dx), share * w, mask, IS_WHOLE)


@triton.jit
def _add_one(place, value, mask, IS_WHOLE: tl.constexpr):
    """Add a value or the whole number nearest to it, unless it is zero: half the corners of a plane of the grid."""
    if IS_WHOLE:
        value = _nearest(value).to(tl.int64)
    tl.atomic_add(place, value, mask & (value != 0), sem="relaxed")


@triton.jit
def _nearest(value):
    """The nearest whole number, of two equally near ones the even one, as torch rounds."""
    low = tl.floor(value)
    beyond = value - low
    is_odd = 2 * tl.floor(0.5 * low) != low
    return low + ((beyond > 0.5) | ((beyond == 0.5) & is_odd)).to(tl.float32)
