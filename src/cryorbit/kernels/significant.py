"""Lists of the poses in a block of scores that matter, and quantiles of posteriors that are flat.

Scores are the largest arrays there are, so the compiled kernel reads them as few times as it can.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numba import prange
from torch import Tensor

from cryorbit.kernels.compiled import compiled, inlined

STRIDE = 64
VALUES_BYTES = 2**24
"""Posteriors whose exponentials are alive at once."""


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
    image, shift, slice
        Indices of each entry.
    log_weight
        Logarithm of the weight that the entry stands for.
    best
        Largest score of each image in this block.
    log_squares
        ``log sum exp(2 score)`` of each image in this block.
    """

    image: Int[Tensor, " e"]
    shift: Int[Tensor, " e"]
    slice: Int[Tensor, " e"]
    log_weight: Float[Tensor, " e"]
    best: Float[Tensor, " b"]
    log_squares: Float[Tensor, " b"]


def list_torch(
    scores: Float[Tensor, "b t g"],
    offset: Float[Tensor, "b g"],
    best_before: Float[Tensor, " b"],
    limits: Limits,
) -> Entries:
    """Entries of ``scores + offset`` near their image's best, here or in earlier blocks, in plain torch."""
    total = scores + offset[:, None]
    best = total.amax((1, 2))
    worth = total > (torch.maximum(best, best_before) - limits.keep_nats)[:, None, None]
    flat = torch.nonzero(worth.sum((1, 2)) > limits.flat)[:, 0]
    worth[flat] = False
    image, shift, slice_ = torch.nonzero(worth, as_tuple=True)
    pose, log_weight = _thinned(total[flat], limits.thinned)
    image = torch.cat([image, flat.repeat_interleave(limits.thinned)])
    shift = torch.cat([shift, torch.div(pose, scores.shape[2], rounding_mode="floor").flatten()])
    slice_ = torch.cat([slice_, (pose % scores.shape[2]).flatten()])
    weight = torch.cat([total[worth], log_weight.repeat_interleave(limits.thinned)])
    order = image.argsort(stable=True)
    squares = torch.logsumexp(2 * total.flatten(1), 1)
    return Entries(image[order], shift[order], slice_[order], weight[order], best, squares)


def list_numba(
    scores: Float[Tensor, "b t g"],
    offset: Float[Tensor, "b g"],
    best_before: Float[Tensor, " b"],
    limits: Limits,
) -> Entries:
    """The same as a compiled kernel in single precision; threads share the images."""
    scores, offset = scores.contiguous(), offset.contiguous()
    block, row = scores.numpy(), offset.numpy()
    best, count = _count(block, row, best_before.numpy(), np.float32(limits.keep_nats))
    start = np.concatenate([[0], np.where(count > limits.flat, limits.thinned, count).cumsum()])
    image, shift, slice_ = (np.empty(start[-1], dtype=np.int64) for _ in range(3))
    weight = np.empty(start[-1], dtype=np.float32)
    squares = np.empty(len(best), dtype=np.float32)
    threshold = np.maximum(best, best_before.numpy()) - np.float32(limits.keep_nats)
    out = (image, shift, slice_, weight, squares)
    _fill(block, row, (best, threshold), (start, np.flatnonzero(count <= limits.flat)), out)
    # exponentials of whole posteriors are torch's, whose vectors are several times faster than a compiled loop
    broad = np.flatnonzero(count > limits.flat)
    at_once = max(1, VALUES_BYTES // (4 * block[0].size))
    for first in range(0, len(broad), at_once):
        part = broad[first : first + at_once]
        where = torch.from_numpy(part)
        values = scores[where].add_(offset[where, None]).sub_(torch.from_numpy(best)[where, None, None]).exp_()
        _fill_quantiles(values.numpy(), best, (start, part), out)
    arrays = (image, shift, slice_, weight, best, squares)
    return Entries(*(torch.from_numpy(array) for array in arrays))


def _thinned(scores: Float[Tensor, "f t g"], count: int) -> tuple[Int[Tensor, "f e"], Float[Tensor, " f"]]:
    """Poses at equally spaced quantiles of each posterior, and the log-weight of each of them."""
    best = scores.amax((1, 2))
    cumulative = (scores - best[:, None, None]).exp().flatten(1).double().cumsum(1)
    total = cumulative[:, -1]
    ticks = (torch.arange(count, device=scores.device) + 0.5) / count
    pose = torch.searchsorted(cumulative, total[:, None] * ticks)
    return pose, (total / count).log().to(best) + best


@compiled(parallel=True, fastmath=True)
def _count(scores, offset, best_before, keep):
    images, shifts, slices = scores.shape
    best = np.empty(images, dtype=np.float32)
    count = np.empty(images, dtype=np.int64)
    for b in prange(images):
        top = np.float32(-1e30)
        row = offset[b]
        for t in range(shifts):
            line = scores[b, t]
            for g in range(slices):
                top = max(top, line[g] + row[g])
        threshold = max(top, best_before[b]) - keep
        number = 0
        for t in range(shifts):
            line = scores[b, t]
            for g in range(slices):
                number += line[g] + row[g] > threshold
        best[b], count[b] = top, number
    return best, count


@compiled(parallel=True)
def _fill(scores, offset, levels, plan, out):
    best, threshold = levels
    start, peaked = plan
    for i in prange(len(peaked)):
        b = peaked[i]
        _fill_list(scores[b], offset[b], best[b], threshold[b], (b, start[b]), out)


@inlined()
def _fill_list(scores, offset, best, threshold, where, out):
    image, shift, slice_, weight, squares = out
    b, entry = where
    total = 0.0
    for t in range(scores.shape[0]):
        for first in range(0, scores.shape[1], STRIDE):
            last = min(first + STRIDE, scores.shape[1])
            # most strides hold nothing: a maximum over one is a few vector instructions, a branch an entry is not
            if _largest(scores[t, first:last], offset[first:last]) <= threshold:
                continue
            for g in range(first, last):
                score = scores[t, g] + offset[g]
                if score > threshold:
                    image[entry], shift[entry], slice_[entry], weight[entry] = b, t, g, score
                    total += math.exp(2 * (score - best))
                    entry += 1
    squares[b] = math.log(total) + 2 * best if total > 0 else -np.inf


@inlined(fastmath=True)
def _largest(scores, offset):
    top = np.float32(-1e30)
    for g in range(scores.shape[0]):
        top = max(top, scores[g] + offset[g])
    return top


@compiled(parallel=True)
def _fill_quantiles(values, best, plan, out):
    image, shift, slice_, weight, squares = out
    start, broad = plan
    for i in prange(len(broad)):
        b, level = broad[i], best[broad[i]]
        first, last = start[b], start[b + 1]
        total, total_squares = _sums(values[i])
        step = total.sum() / (last - first)
        _ticks(values[i], total, step, (shift, slice_), (first, last))
        image[first:last], weight[first:last] = b, level + math.log(step)
        squares[b] = math.log(total_squares) + 2 * level


@inlined(fastmath=True)
def _sums(values):
    """Sum of each stride of each row, and of the squares of all."""
    shifts, slices = values.shape
    total = np.empty((shifts, (slices - 1) // STRIDE + 1))
    total_squares = 0.0
    for t in range(shifts):
        for number in range(total.shape[1]):
            part, squares = np.float32(0), np.float32(0)
            for g in range(number * STRIDE, min((number + 1) * STRIDE, slices)):
                part += values[t, g]
                squares += values[t, g] * values[t, g]
            total[t, number] = part
            total_squares += squares
    return total, total_squares


@inlined()
def _ticks(values, total, step, out, where):
    """Write the pose at each of the equally spaced quantiles of a posterior: most strides have none."""
    shift, slice_ = out
    entry, last = where
    before, tick = 0.0, 0.5 * step
    for t in range(total.shape[0]):
        for number in range(total.shape[1]):
            if before + total[t, number] >= tick:
                running = before
                for g in range(number * STRIDE, min((number + 1) * STRIDE, values.shape[1])):
                    running += values[t, g]
                    while entry < last and running >= tick:
                        shift[entry], slice_[entry] = t, g
                        entry, tick = entry + 1, tick + step
            before += total[t, number]
