"""The listing of significant poses as a compiled CPU kernel; see ``significant``."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from numba import njit, prange
from torch import Tensor

STRIDE = 64


def significant_entries(
    scores: Float[Tensor, "b t g"],
    offset: Float[Tensor, "b g"],
    best_before: Float[Tensor, " b"],
    limits: tuple[float, int, int],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Fields of ``significant.Entries``; ``limits`` are nats kept, entries of a flat posterior, of a thinned one."""
    keep_nats, flat, thinned = limits
    block, row = scores.contiguous().numpy(), offset.contiguous().numpy()
    best, count = _count(block, row, best_before.numpy(), np.float32(keep_nats))
    start = np.concatenate([[0], np.where(count > flat, thinned, count).cumsum()])
    image, shift, slice_ = (np.empty(start[-1], dtype=np.int64) for _ in range(3))
    weight = np.empty(start[-1], dtype=np.float32)
    squares = np.empty(len(best), dtype=np.float32)
    threshold = np.maximum(best, best_before.numpy()) - np.float32(keep_nats)
    _fill(block, row, (best, threshold), (start, count > flat), (image, shift, slice_, weight, squares))
    arrays = (image, shift, slice_, weight, best, squares)
    return tuple(torch.from_numpy(array) for array in arrays)  # type: ignore[return-value]


@njit(parallel=True, fastmath=True, cache=True)
def _count(scores, offset, best_before, keep):  # type: ignore[no-untyped-def]
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
def _fill(scores, offset, levels, plan, out):  # type: ignore[no-untyped-def]
    best, threshold = levels
    start, flat = plan
    for b in prange(scores.shape[0]):
        if flat[b]:
            _fill_quantiles(scores[b], offset[b], best[b], (b, start[b], start[b + 1]), out)
        else:
            _fill_list(scores[b], offset[b], best[b], threshold[b], (b, start[b]), out)


@njit(cache=True)
def _fill_list(scores, offset, best, threshold, where, out):  # type: ignore[no-untyped-def]
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
def _largest(scores, offset):  # type: ignore[no-untyped-def]
    top = np.float32(-1e30)
    for g in range(scores.shape[0]):
        top = max(top, scores[g] + offset[g])
    return top


@njit(cache=True)
def _fill_quantiles(scores, offset, best, where, out):  # type: ignore[no-untyped-def]
    image, shift, slice_, weight, squares = out
    b, first, last = where
    total, total_squares = 0.0, 0.0
    for t in range(scores.shape[0]):
        for g in range(scores.shape[1]):
            value = math.exp(scores[t, g] + offset[g] - best)
            total += value
            total_squares += value * value
    step = total / (last - first)
    running, entry = 0.0, first
    for t in range(scores.shape[0]):
        for g in range(scores.shape[1]):
            running += math.exp(scores[t, g] + offset[g] - best)
            while entry < last and running >= (entry - first + 0.5) * step:
                image[entry], shift[entry], slice_[entry], weight[entry] = b, t, g, best + math.log(step)
                entry += 1
    squares[b] = math.log(total_squares) + 2 * best
