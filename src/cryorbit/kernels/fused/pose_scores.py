"""Scores of candidate poses in one launch, no slice written; the reference is ``kernels.pose_scores``.

A program has some candidates and goes through the coefficients tile by tile: their slices, the norms, and the products
with their images, which a product of matrices brings under every shift. Each candidate reads its own image, so that
they need no order; those of one image lie together, and the image stays in the cache.
"""

from __future__ import annotations

import triton
import triton.language as tl
from jaxtyping import Complex, Float, Int
from torch import Tensor

from cryorbit.kernels.fused.trilinear import (
    POINTS,
    SLICES,
    axes_of,
    cells_around,
    load_complex,
    padded_points,
    pairs_of,
    sample,
)

FEWEST_SHIFTS, MOST_SHIFTS = 16, 64
"""Of a program: products of matrices take no fewer, and more do not fit its registers."""


def score_fused(
    data: Complex[Tensor, "b p"],
    weight: Float[Tensor, "b p"],
    candidates: tuple[Int[Tensor, " e"], Int[Tensor, " e"], Float[Tensor, "e 3 3"]],
    volumes: Complex[Tensor, "k z m h"],
    frequencies: Float[Tensor, "p 2"],
    pad: int,
    phases: Complex[Tensor, "t p"],
) -> Float[Tensor, "e t"]:
    """``score_torch`` in single precision."""
    image, klass, rotation = candidates
    scores = weight.new_empty(len(image), len(phases))
    if scores.numel():
        shifts = min(MOST_SHIFTS, max(FEWEST_SHIFTS, triton.next_power_of_2(len(phases))))
        _score[triton.cdiv(len(image), SLICES), triton.cdiv(len(phases), shifts)](
            pairs_of(volumes),
            volumes[0].numel(),
            volumes.shape[2],
            axes_of(rotation),
            klass.contiguous(),
            image.contiguous(),
            pairs_of(data),
            weight.contiguous(),
            padded_points(frequencies, pad),
            pairs_of(phases),
            scores,
            *scores.shape,
            len(frequencies),
            SLICES=SLICES,
            POINTS=POINTS,
            SHIFTS=shifts,
            # or coefficients to come would be kept in shared memory, more of it than most cards have
            num_stages=1,
        )
    return scores


@triton.jit
def _score(
    volumes,
    volume_size,
    size,
    axes,
    klass,
    image,
    data,
    weight,
    points,
    phases,
    scores,
    candidates,
    shifts,
    count,
    SLICES: tl.constexpr,
    POINTS: tl.constexpr,
    SHIFTS: tl.constexpr,
):
    e = tl.program_id(0) * SLICES + tl.arange(0, SLICES)
    t = tl.program_id(1) * SHIFTS + tl.arange(0, SHIFTS)
    is_candidate, is_shift = e < candidates, t < shifts
    pairs = (volumes + tl.load(klass + e, is_candidate, 0).to(tl.int64) * volume_size)[:, None]
    row = tl.load(image + e, is_candidate, 0).to(tl.int64)[:, None] * count
    total, norm = tl.zeros((SLICES, SHIFTS), tl.float32), tl.zeros((SLICES,), tl.float32)
    for start in range(0, count, POINTS):
        p = start + tl.arange(0, POINTS)
        is_point = p < count
        mask = is_candidate[:, None] & is_point[None, :]
        re, im = sample(pairs, size, cells_around(axes, e, is_candidate, points, p, is_point), mask)
        norm += tl.sum(tl.load(weight + row + p[None, :], mask, 0.0) * (re * re + im * im), 1)
        data_re, data_im = load_complex(data, row + p[None, :], mask)
        # Re(conj(slice) data phase), with exact products: what single precision leaves is a part of a nat
        phase_re, phase_im = load_complex(
            phases, t[None, :] * count + p[:, None], is_shift[None, :] & is_point[:, None]
        )
        total = tl.dot(re * data_re + im * data_im, phase_re, total, input_precision="ieee")
        total = tl.dot(im * data_re - re * data_im, phase_im, total, input_precision="ieee")
    place = scores + e[:, None].to(tl.int64) * shifts + t[None, :]
    tl.store(place, total - 0.5 * norm[:, None], is_candidate[:, None] & is_shift[None, :])
