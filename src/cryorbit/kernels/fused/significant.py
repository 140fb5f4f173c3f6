"""Lists of the poses that matter, in four launches over blocks of poses; the reference is ``kernels.significant``.

Scores are read three times: for the best of each image, for what lies near it, and to list that. The number of entries,
which decides how large the lists are, is the one thing that the CPU waits for.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cryorbit.kernels.significant import Entries, Limits

POSES = 1024
"""Of a block."""


def list_fused(
    even: Float[Tensor, "b t g"],
    odd: Float[Tensor, "b t g"],
    of_shift: Float[Tensor, " t"],
    offset: Float[Tensor, "b 2 g"],
    best_before: Float[Tensor, " b"],
    limits: Limits,
) -> Entries:
    """``list_torch`` in single precision."""
    parts = tuple(each.contiguous() for each in (even, odd, of_shift, offset))
    images, shifts, slices = even.shape
    blocks = triton.cdiv(2 * shifts * slices, POSES)
    grid, block = (images, blocks), (*parts, shifts, slices)
    peaks = even.new_empty(images, blocks)
    _peak[grid](*block, peaks, POSES=POSES)
    best = peaks.amax(1)
    threshold = torch.maximum(best, best_before) - limits.keep_nats

    count = torch.empty_like(peaks, dtype=torch.int64)
    mass, squares = torch.empty_like(peaks), torch.empty_like(peaks)
    _survey[grid](*block, best, threshold, count, mass, squares, POSES=POSES)
    is_flat = count.sum(1) > limits.flat
    first = _firsts(count, is_flat, limits.thinned)
    reached = mass.double().cumsum(1)
    step = reached[:, -1:] / limits.thinned
    # ticks stand in the middle of each step: so many of them are reached with each block
    ticks = torch.nn.functional.pad((reached / step + 0.5).long(), (1, 0))
    log_step = step[:, 0].log().to(best) + best

    entries = int(first[-1, -1])
    image, shift, view = torch.empty(3, entries, dtype=torch.int64, device=even.device)
    log_weight = even.new_empty(entries)
    lists = image, shift, view, log_weight
    _list[grid](*block, is_flat, threshold, first, *lists, POSES=POSES)
    before = torch.nn.functional.pad(reached, (1, 0))
    _draw[grid](
        *block, is_flat, best, first, (before / step).float(), step.float(), ticks, log_step, *lists, POSES=POSES
    )
    log_squares = squares.double().sum(1).log() + 2 * best.double()
    return Entries(image, shift, view, log_weight, best, log_squares.to(best))


def _firsts(count: Int[Tensor, "b k"], is_flat: Bool[Tensor, " b"], thinned: int) -> Int[Tensor, "b last"]:
    """Where the entries of each block of poses begin, and in the last column where those of the image end."""
    per_image = torch.where(is_flat, thinned, count.sum(1))
    last = per_image.cumsum(0)
    within = torch.where(is_flat[:, None], 0, count.cumsum(1) - count)
    return torch.cat([(last - per_image)[:, None] + within, last[:, None]], 1)


@triton.jit
def _block(even, odd, of_shift, offset, shifts, slices, POSES: tl.constexpr):
    """Shift and view of the poses of a block of an image, whether there are such, and their scores."""
    b = tl.program_id(0).to(tl.int64)
    pose = tl.program_id(1) * POSES + tl.arange(0, POSES)
    is_pose = pose < 2 * shifts * slices
    shift, of_image = pose // (2 * slices), pose % (2 * slices)
    side, slice_ = of_image // slices, of_image % slices
    place = (b * shifts + shift) * slices + slice_
    sign = 1.0 - 2.0 * side.to(tl.float32)
    score = tl.load(even + place, is_pose, -float("inf")) + sign * tl.load(odd + place, is_pose, 0.0)
    score += tl.load(of_shift + shift, is_pose, 0.0) + tl.load(offset + 2 * b * slices + of_image, is_pose, 0.0)
    return shift, 2 * slice_ + side, is_pose, score


@triton.jit
def _peak(even, odd, of_shift, offset, shifts, slices, peaks, POSES: tl.constexpr):
    _, _, _, score = _block(even, odd, of_shift, offset, shifts, slices, POSES)
    tl.store(peaks + tl.program_id(0) * tl.num_programs(1) + tl.program_id(1), tl.max(score, 0))


@triton.jit
def _survey(even, odd, of_shift, offset, shifts, slices, best, threshold, count, mass, squares, POSES: tl.constexpr):
    b, place = tl.program_id(0), tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)
    _, _, _, score = _block(even, odd, of_shift, offset, shifts, slices, POSES)
    value = tl.exp(score - tl.load(best + b))
    tl.store(count + place, tl.sum((score > tl.load(threshold + b)).to(tl.int64), 0))
    tl.store(mass + place, tl.sum(value, 0))
    tl.store(squares + place, tl.sum(value * value, 0))


@triton.jit
def _list(
    even,
    odd,
    of_shift,
    offset,
    shifts,
    slices,
    is_flat,
    threshold,
    first,
    image,
    shift,
    view,
    log_weight,
    POSES: tl.constexpr,
):
    """List the poses of a block that are near the best, where there are few of them."""
    b = tl.program_id(0)
    if not tl.load(is_flat + b):
        shifts_of, views_of, is_pose, score = _block(even, odd, of_shift, offset, shifts, slices, POSES)
        near = is_pose & (score > tl.load(threshold + b))
        start = tl.load(first + b * (tl.num_programs(1) + 1) + tl.program_id(1))
        entry = start + tl.cumsum(near.to(tl.int32), 0) - 1
        tl.store(image + entry, tl.zeros_like(entry).to(tl.int64) + b, near)
        tl.store(shift + entry, shifts_of.to(tl.int64), near)
        tl.store(view + entry, views_of.to(tl.int64), near)
        tl.store(log_weight + entry, score, near)


@triton.jit
def _draw(
    even,
    odd,
    of_shift,
    offset,
    shifts,
    slices,
    is_flat,
    best,
    first,
    before,
    step,
    ticks,
    log_step,
    image,
    shift,
    view,
    log_weight,
    POSES: tl.constexpr,
):
    """List the poses of a block at ticks of a flat posterior: the first ones whose running sums reach them."""
    b, row = tl.program_id(0), tl.program_id(0) * (tl.num_programs(1) + 1)
    if tl.load(is_flat + b):
        _, _, is_pose, score = _block(even, odd, of_shift, offset, shifts, slices, POSES)
        running = tl.cumsum(tl.exp(score - tl.load(best + b)), 0) / tl.load(step + b)
        start, behind = tl.load(first + row), tl.load(before + row + tl.program_id(1))
        last = tl.sum(is_pose.to(tl.int32), 0) - 1
        for tick in range(tl.load(ticks + row + tl.program_id(1)), tl.load(ticks + row + tl.program_id(1) + 1)):
            number = tl.sum((is_pose & (running < tick + 0.5 - behind)).to(tl.int32), 0)
            pose = tl.program_id(1) * POSES + tl.minimum(number, last)
            tl.store(image + start + tick, b.to(tl.int64))
            of_image = pose % (2 * slices)
            tl.store(shift + start + tick, (pose // (2 * slices)).to(tl.int64))
            tl.store(view + start + tick, (2 * (of_image % slices) + of_image // slices).to(tl.int64))
            tl.store(log_weight + start + tick, tl.load(log_step + b))
