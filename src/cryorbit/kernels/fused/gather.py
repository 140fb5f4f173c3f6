"""Slices of a Fourier volume by trilinear interpolation, in one launch; the reference is ``kernels.gather``."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.kernels.fused.trilinear import (
    POINTS,
    SLICES,
    axes_of,
    cells_around,
    padded_points,
    pairs_of,
    sample,
    tiles,
)


def gather_fused(
    volume: Complex[Tensor, "z m h"],
    rotations: Float[Tensor, "g 3 3"],
    frequencies: Float[Tensor, "p 2"],
    pad: int,
) -> Complex[Tensor, "g p"]:
    """``gather_torch`` in single precision."""
    slices = volume.new_empty(len(rotations), len(frequencies))
    if slices.numel():
        _gather[tiles(*slices.shape)](
            pairs_of(volume),
            volume.shape[1],
            axes_of(rotations),
            padded_points(frequencies, pad),
            torch.view_as_real(slices),
            *slices.shape,
            SLICES=SLICES,
            POINTS=POINTS,
        )
    return slices


@triton.jit
def _gather(pairs, size, axes, points, out, slices, count, SLICES: tl.constexpr, POINTS: tl.constexpr):
    g = tl.program_id(0) * SLICES + tl.arange(0, SLICES)
    p = tl.program_id(1) * POINTS + tl.arange(0, POINTS)
    is_slice, is_point = g < slices, p < count
    mask = is_slice[:, None] & is_point[None, :]
    re, im = sample(pairs, size, cells_around(axes, g, is_slice, points, p, is_point), mask)
    place = out + 2 * (g[:, None].to(tl.int64) * count + p[None, :])
    tl.store(place, re, mask)
    tl.store(place + 1, im, mask)
