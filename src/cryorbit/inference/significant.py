"""Which poses of a block of scores matter: a list for peaked posteriors, quantiles for flat ones.

A posterior with more than ``FLAT_ENTRIES`` poses within ``KEEP_NATS`` of its best is thinned to ``THINNED_ENTRIES``
of them, drawn systematically: an estimate without bias, where an exact list would cost more than the scores did.
Scores are the largest arrays there are, so on the CPU a compiled kernel reads them as few times as it can.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.inference import significant_cpu

KEEP_NATS = 10.0
FLAT_ENTRIES = 2048
THINNED_ENTRIES = 1024


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


def significant_entries(
    scores: Float[Tensor, "b t g"], offset: Float[Tensor, "b g"], best_before: Float[Tensor, " b"]
) -> Entries:
    """Entries of ``scores + offset`` within ``KEEP_NATS`` of their image's best, here or in earlier blocks."""
    if scores.device.type == "cpu" and scores.dtype == torch.float32:
        return Entries(
            *significant_cpu.significant_entries(
                scores, offset, best_before, (KEEP_NATS, FLAT_ENTRIES, THINNED_ENTRIES)
            )
        )
    return reference_entries(scores, offset, best_before)


def reference_entries(
    scores: Float[Tensor, "b t g"], offset: Float[Tensor, "b g"], best_before: Float[Tensor, " b"]
) -> Entries:
    """The same in plain torch, for any device and precision."""
    total = scores + offset[:, None]
    best = total.amax((1, 2))
    worth = total > (torch.maximum(best, best_before) - KEEP_NATS)[:, None, None]
    flat = torch.nonzero(worth.sum((1, 2)) > FLAT_ENTRIES)[:, 0]
    worth[flat] = False
    image, shift, slice_ = torch.nonzero(worth, as_tuple=True)
    pose, log_weight = _thinned(total[flat])
    image = torch.cat([image, flat.repeat_interleave(THINNED_ENTRIES)])
    shift = torch.cat([shift, torch.div(pose, scores.shape[2], rounding_mode="floor").flatten()])
    slice_ = torch.cat([slice_, (pose % scores.shape[2]).flatten()])
    weight = torch.cat([total[worth], log_weight.repeat_interleave(THINNED_ENTRIES)])
    order = image.argsort(stable=True)
    squares = torch.logsumexp(2 * total.flatten(1), 1)
    return Entries(image[order], shift[order], slice_[order], weight[order], best, squares)


def _thinned(scores: Float[Tensor, "f t g"]) -> tuple[Int[Tensor, "f e"], Float[Tensor, " f"]]:
    """Poses at equally spaced quantiles of each posterior, and the log-weight of each of them."""
    best = scores.flatten(1).amax(1) if len(scores) else scores.new_empty(0)
    cumulative = (scores - best[:, None, None]).exp().flatten(1).double().cumsum(1)
    total = cumulative[:, -1]
    ticks = (torch.arange(THINNED_ENTRIES, device=scores.device) + 0.5) / THINNED_ENTRIES
    pose = torch.searchsorted(cumulative, total[:, None] * ticks)
    return pose, (total / THINNED_ENTRIES).log().to(best) + best
