"""The listing of significant poses as a compiled CPU kernel; see ``significant``."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from numba import njit, prange
from torch import Tensor

from cryorbit.core.chunks import chunks

STRIDE = 64
VALUES_BYTES = 2**24
"""Posteriors whose exponentials are alive at once."""


def significant_entries(
    scores: Float[Tensor, "b t g"],
    offset: Float[Tensor, "b g"],
    best_before: Float[Tensor, " b"],
    limits: tuple[float, int, int],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Fields of ``significant.Entries``; ``limits`` are nats kept, entries of a flat posterior, of a thinned one."""
    keep_nats, flat, thinned = limits
    scores, offset = scores.contiguous(), offset.contiguous()
    block, row = scores.numpy(), offset.numpy()
    best, count = _count(block, row, best_before.numpy(), np.float32(keep_nats))
    start = np.concatenate([[0], np.where(count > flat, thinned, count).cumsum()])
    image, shift, slice_ = (np.empty(start[-1], dtype=np.int64) for _ in range(3))
    weight = np.empty(start[-1], dtype=np.float32)
    squares = np.empty(len(best), dtype=np.float32)
    threshold = np.maximum(best, best_before.numpy()) - np.float32(keep_nats)
    out = (image, shift, slice_, weight, squares)
    _fill(block, row, (best, threshold), (start, np.flatnonzero(count <= flat)), out)
    # exponentials of whole posteriors are torch's, whose vectors are several times faster than a compiled loop
    broad = np.flatnonzero(count > flat)
    for part in chunks(len(broad), max(1, VALUES_BYTES // (4 * block[0].size))):
        where = torch.from_numpy(broad[part])
        values = scores[where].add_(offset[where, None]).sub_(torch.from_numpy(best)[where, None, None]).exp_()
        _fill_quantiles(values.numpy(), best, (start, broad[part]), out)
    arrays = (image, shift, slice_, weight, best, squares)
    return tuple(torch.from_numpy(array) for array in arrays)  # type: ignore[return-value]  # six of them


@njit(parallel=True, fastmath=True, cache=True)
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


@njit(parallel=True, cache=True)
def _fill(scores, offset, levels, plan, out):
    best, threshold = levels
    start, peaked = plan
    for i in prange(len(peaked)):
        b = peaked[i]
        _fill_list(scores[b], offset[b], best[b], threshold[b], (b, start[b]), out)


@njit(cache=True)
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


@njit(fastmath=True, cache=True)
def _largest(scores, offset):
    top = np.float32(-1e30)
    for g in range(scores.shape[0]):
        top = max(top, scores[g] + offset[g])
    return top


@njit(parallel=True, cache=True)
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


@njit(fastmath=True, cache=True)
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


@njit(cache=True)
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
