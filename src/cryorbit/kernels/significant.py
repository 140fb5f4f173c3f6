"""Lists of the poses in a block of scores that matter, and quantiles of posteriors that are flat.

Scores come as two parts: the sum of the parts is the overlap with a slice, their difference that with its conjugate
(``inference.grid_scores``). These are the largest arrays there are. The compiled kernel writes no scores out: it reads
the parts once for the largest score of each stride of slices, and again only where a stride holds something.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numba import prange
from torch import Tensor

from cryorbit.kernels.compiled import IN_ORDER, compiled, inlined

STRIDE = 64
VALUES_BYTES = 2**24
"""Posteriors whose exponentials are alive at once."""
LOWEST = np.float32(-1e30)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a posterior is listed.

    Attributes
    ----------
    keep_nats
        Poses so far below the best are left out.
    flat
        A posterior of more entries is thinned.
    thinned
        Entries of a thinned posterior.
    """

    keep_nats: float
    flat: int
    thinned: int


@dataclass(frozen=True, slots=True)
class Entries:
    """Poses of a block of B images worth listing, sorted by image.

    Attributes
    ----------
    image, shift, view
        Indices of each entry; view ``2 g`` is slice g, ``2 g + 1`` its conjugate.
    log_weight
        Logarithm of the weight that the entry stands for.
    best
        Largest score of each image in this block.
    log_squares
        ``log sum exp(2 score)`` of each image in this block.
    """

    image: Int[Tensor, " e"]
    shift: Int[Tensor, " e"]
    view: Int[Tensor, " e"]
    log_weight: Float[Tensor, " e"]
    best: Float[Tensor, " b"]
    log_squares: Float[Tensor, " b"]


def list_torch(
    even: Float[Tensor, "b t g"],
    odd: Float[Tensor, "b t g"],
    of_shift: Float[Tensor, " t"],
    offset: Float[Tensor, "b 2 g"],
    best_before: Float[Tensor, " b"],
    limits: Limits,
) -> Entries:
    """Entries of ``even +- odd + of_shift + offset`` near their image's best, here or in earlier blocks, in torch."""
    total = torch.stack([even + odd, even - odd], 2).add_(of_shift[:, None, None]).add_(offset[:, None])
    best = total.amax((1, 2, 3))
    worth = total > (torch.maximum(best, best_before) - limits.keep_nats)[:, None, None, None]
    flat = torch.nonzero(worth.sum((1, 2, 3)) > limits.flat)[:, 0]
    worth[flat] = False
    image, *pose = torch.nonzero(worth, as_tuple=True)
    quantiles, log_weight = _thinned(total[flat], limits.thinned)
    image = torch.cat([image, flat.repeat_interleave(limits.thinned)])
    shift, side, slice_ = (torch.cat(pair) for pair in zip(pose, quantiles, strict=True))
    weight = torch.cat([total[worth], log_weight.repeat_interleave(limits.thinned)])
    order = image.argsort(stable=True)
    squares = torch.logsumexp(2 * total.flatten(1), 1)
    return Entries(image[order], shift[order], (2 * slice_ + side)[order], weight[order], best, squares)


def list_numba(
    even: Float[Tensor, "b t g"],
    odd: Float[Tensor, "b t g"],
    of_shift: Float[Tensor, " t"],
    offset: Float[Tensor, "b 2 g"],
    best_before: Float[Tensor, " b"],
    limits: Limits,
) -> Entries:
    """The same as a compiled kernel in single precision; threads share the images."""
    block = tuple(each.contiguous().numpy() for each in (even, odd, of_shift, offset))
    largest = _largest_of_strides(block)
    best = largest.max((1, 2, 3))
    threshold = np.maximum(best, best_before.numpy()) - np.float32(limits.keep_nats)
    count = _count(block, largest, threshold, limits.flat)
    start = np.concatenate([[0], np.where(count > limits.flat, limits.thinned, count).cumsum()])
    image, shift, view = (np.empty(start[-1], dtype=np.int64) for _ in range(3))
    weight = np.empty(start[-1], dtype=np.float32)
    squares = np.empty(len(best), dtype=np.float32)
    out = (image, shift, view, weight, squares)
    _fill(block, (largest, best, threshold), (start, np.flatnonzero(count <= limits.flat)), out)
    broad = np.flatnonzero(count > limits.flat)
    at_once = max(1, VALUES_BYTES // (8 * even[0].numel()))
    for first in range(0, len(broad), at_once):
        part = broad[first : first + at_once]
        # exponentials of whole posteriors are torch's, whose vectors are several times faster than a compiled loop
        values = torch.from_numpy(_below_best(block, best, part)).exp_()
        _fill_quantiles(values.numpy(), best, (start, part), out)
    arrays = (image, shift, view, weight, best, squares)
    return Entries(*(torch.from_numpy(array) for array in arrays))


def _thinned(total: Float[Tensor, "f t 2 g"], count: int) -> tuple[tuple[Int[Tensor, " e"], ...], Float[Tensor, " f"]]:
    """Shift, side and slice at equally spaced quantiles of each posterior, and the log-weight of each of them."""
    best = total.amax((1, 2, 3))
    cumulative = (total - best[:, None, None, None]).exp().flatten(1).double().cumsum(1)
    mass = cumulative[:, -1]
    ticks = (torch.arange(count, device=total.device) + 0.5) / count
    pose = torch.searchsorted(cumulative, mass[:, None] * ticks).flatten()
    return torch.unravel_index(pose, total.shape[1:]), (mass / count).log().to(best) + best


@inlined(fastmath=IN_ORDER)
def _stride(block, place, number):
    """The terms of the scores of one stride of slices."""
    even, odd, of_shift, offset = block
    b, t, side = place
    first, last = number * STRIDE, min((number + 1) * STRIDE, even.shape[2])
    # a product with one is exact: both sides are one expression, and round as a sum and a difference do
    sign = np.float32(1 - 2 * side)
    return even[b, t, first:last], odd[b, t, first:last], offset[b, side, first:last], of_shift[t], sign


@inlined(fastmath=IN_ORDER)
def _score(stride, g):
    even, odd, offset, of_shift, sign = stride
    return even[g] + sign * odd[g] + of_shift + offset[g]


@compiled(parallel=True, fastmath=IN_ORDER)
def _largest_of_strides(block):
    images, shifts, slices = block[0].shape
    largest = np.empty((images, shifts, 2, (slices - 1) // STRIDE + 1), dtype=np.float32)
    for row in prange(images * shifts):
        b, t = row // shifts, row % shifts
        for number in range(largest.shape[3]):
            front, back = _stride(block, (b, t, 0), number), _stride(block, (b, t, 1), number)
            largest[b, t, 0, number], largest[b, t, 1, number] = _largest(front, back)
    return largest


@inlined(fastmath=IN_ORDER)
def _largest(front, back):
    """Largest scores of a stride of slices and of their conjugates: the parts of both are read once."""
    top, other = LOWEST, LOWEST
    for g in range(front[0].shape[0]):
        top, other = max(top, _score(front, g)), max(other, _score(back, g))
    return top, other


@compiled(parallel=True, fastmath=IN_ORDER)
def _count(block, largest, threshold, enough):
    """Scores above the threshold of each image; they are not counted on once there are more than enough."""
    images, shifts, sides, strides = largest.shape
    count = np.zeros(images, dtype=np.int64)
    for b in prange(images):
        level, entries = threshold[b], 0
        for t in range(shifts):
            for side in range(sides):
                for number in range(strides):
                    if largest[b, t, side, number] > level:
                        stride = _stride(block, (b, t, side), number)
                        for g in range(stride[0].shape[0]):
                            entries += _score(stride, g) > level
            if entries > enough:
                break
        count[b] = entries
    return count


@compiled(parallel=True)
def _fill(block, levels, plan, out):
    largest, best, threshold = levels
    start, peaked = plan
    for i in prange(len(peaked)):
        b = peaked[i]
        _fill_list(block, (largest[b], best[b], threshold[b]), (b, start[b]), out)


@inlined()
def _fill_list(block, levels, where, out):
    image, shift, view, weight, squares = out
    largest, best, threshold = levels
    b, entry = where
    total = 0.0
    for t in range(largest.shape[0]):
        for side in range(largest.shape[1]):
            for number in range(largest.shape[2]):
                if largest[t, side, number] <= threshold:
                    continue
                stride = _stride(block, (b, t, side), number)
                for i in range(stride[0].shape[0]):
                    score = _score(stride, i)
                    if score > threshold:
                        g = number * STRIDE + i
                        image[entry], shift[entry], view[entry], weight[entry] = b, t, 2 * g + side, score
                        total += math.exp(2 * (score - best))
                        entry += 1
    squares[b] = math.log(total) + 2 * best if total > 0 else -np.inf


@compiled(parallel=True, fastmath=IN_ORDER)
def _below_best(block, best, part):
    """Scores of some images less the best one of each."""
    shifts, slices = block[0].shape[1:]
    values = np.empty((len(part), shifts, 2, slices), dtype=np.float32)
    for row in prange(len(part) * shifts):
        i, t = row // shifts, row % shifts
        b, top = part[i], best[part[i]]
        for side in range(2):
            for number in range((slices - 1) // STRIDE + 1):
                stride = _stride(block, (b, t, side), number)
                line = values[i, t, side, number * STRIDE : (number + 1) * STRIDE]
                for g in range(line.shape[0]):
                    line[g] = _score(stride, g) - top
    return values


@compiled(parallel=True)
def _fill_quantiles(values, best, plan, out):
    image, _, _, weight, squares = out
    start, broad = plan
    for i in prange(len(broad)):
        b, level = broad[i], best[broad[i]]
        first, last = start[b], start[b + 1]
        total, total_squares = _sums(values[i])
        step = total.sum() / (last - first)
        _ticks(values[i], total, step, out, (first, last))
        image[first:last], weight[first:last] = b, level + math.log(step)
        squares[b] = math.log(total_squares) + 2 * level


@inlined(fastmath=True)
def _sums(values):
    """Sum of each stride of each side of each shift, and of the squares of all."""
    shifts, sides, slices = values.shape
    total = np.empty((shifts, sides, (slices - 1) // STRIDE + 1))
    total_squares = 0.0
    for t in range(shifts):
        for side in range(sides):
            for number in range(total.shape[2]):
                part, squares = np.float32(0), np.float32(0)
                for g in range(number * STRIDE, min((number + 1) * STRIDE, slices)):
                    part += values[t, side, g]
                    squares += values[t, side, g] * values[t, side, g]
                total[t, side, number] = part
                total_squares += squares
    return total, total_squares


@inlined()
def _ticks(values, total, step, out, where):
    """Write the pose at each of the equally spaced quantiles of a posterior: most strides have none."""
    _, shift, view, _, _ = out
    entry, last = where
    before, tick = 0.0, 0.5 * step
    for t in range(total.shape[0]):
        for side in range(total.shape[1]):
            for number in range(total.shape[2]):
                if before + total[t, side, number] >= tick:
                    running = before
                    for g in range(number * STRIDE, min((number + 1) * STRIDE, values.shape[2])):
                        running += values[t, side, g]
                        while entry < last and running >= tick:
                            shift[entry], view[entry] = t, 2 * g + side
                            entry, tick = entry + 1, tick + step
                before += total[t, side, number]
