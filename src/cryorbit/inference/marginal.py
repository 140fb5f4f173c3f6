"""The E-step on a grid shared by all images: scores as matrix products, pruned posteriors, statistics.

Suffix legend: B images, T shifts, G slices (all classes and rotations), P Fourier coefficients, E entries kept. Each
slice stands for two views, itself and its conjugate, which is turned by half a turn in the plane of the image: slice
g is view 2 g, its conjugate view 2 g + 1.

For every image the log-posteriors of all 2 G x T poses are sums and differences of two real matrix products of size
B T x P x G, half the cost of one for all views. Only the entries that matter are kept (the posterior is sparse from the
first iteration on), which makes the statistics cheap:

    D_g = sum_{b,t} gamma S_t data_b,    W_g = sum_{b,t} gamma weight_b           (one sparse product each)

Images are taken in blocks, so memory follows ``budget_bytes`` and never the product B x T x G; when even one image's
scores exceed the budget the slices are streamed too, with a running maximum (online softmax).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from cryorbit.core.chunks import chunk_size, chunks
from cryorbit.core.memory import batch_bytes, block_bytes
from cryorbit.imaging.observations import Observations
from cryorbit.inference.grid_scores import (
    Parts,
    even_and_odd,
    model_energy,
    parts_of,
    shifted_images,
    squared,
)
from cryorbit.inference.significant import KEEP_NATS, significant_entries
from cryorbit.kernels.significant import Entries

BUDGET_BYTES = 32 * 2**20
"""Scores of one image, beyond which its slices are streamed, on a CPU."""


@dataclass(frozen=True, slots=True)
class Posterior:
    """Pose posteriors of B images as a list of E entries, and what summarises them.

    Attributes
    ----------
    image, slice, shift
        Indices of each entry, sorted by image; a slice is that of a view, conjugates counted.
    gamma
        Posterior weight; sums to one over the entries of an image.
    log_evidence
        ``log sum prior exp(score)`` of each image, nats, relative to an image without any signal.
    effective
        Effective number of poses ``1 / sum gamma^2`` of each image, before any thinning.
    """

    image: Int[Tensor, " e"]
    slice: Int[Tensor, " e"]
    shift: Int[Tensor, " e"]
    gamma: Float[Tensor, " e"]
    log_evidence: Float[Tensor, " b"]
    effective: Float[Tensor, " b"]


@dataclass(frozen=True, slots=True)
class SliceStatistics:
    """Posterior sums on G slices; those of two batches add.

    Attributes
    ----------
    data
        D: posterior-weighted, shifted, CTF-weighted images.
    weight
        W: posterior-weighted CTF^2 over noise variance.
    """

    data: Complex[Tensor, "g p"]
    weight: Float[Tensor, "g p"]


def pose_posterior(
    observations: Observations,
    slices: Complex[Tensor, "g p"],
    phases: Complex[Tensor, "t p"],
    log_prior: Float[Tensor, " v"],
    budget_bytes: int | None = None,
    *,
    shift_prior: Float[Tensor, " t"] | None = None,
) -> Posterior:
    """Posterior of every image over all views and shifts.

    Parameters
    ----------
    observations, slices, phases
        Images, slices, and the phases of the shifts.
    log_prior
        Of each view, the 1/T of the shifts included.
    budget_bytes
        Most memory for the scores of a block; None for what suits the device.
    shift_prior
        What is added to the prior at each shift; None for nothing.
    """
    views = _Views(parts_of(slices), squared(slices), log_prior.reshape(-1, 2).mT)
    of_shift = views.power.new_zeros(len(phases)) if shift_prior is None else shift_prior
    if budget_bytes is None:
        budget_bytes = batch_bytes(slices.device, BUDGET_BYTES)
    per_slice = 8 * len(phases)
    at_once = min(budget_bytes, block_bytes(slices.device))
    images = chunk_size(per_slice * len(slices), at_once, len(observations))
    columns = chunk_size(per_slice * images, budget_bytes, len(slices))
    blocks = [
        _block_posterior(observations[rows], views, phases, of_shift, columns)
        for rows in chunks(len(observations), images)
    ]
    return join_posteriors(blocks)


def join_posteriors(blocks: list[Posterior]) -> Posterior:
    """Posteriors of consecutive batches as one, images renumbered."""
    offsets = torch.tensor([0] + [len(b.log_evidence) for b in blocks]).cumsum(0).tolist()
    return Posterior(
        torch.cat([b.image + offset for b, offset in zip(blocks, offsets, strict=False)]),
        torch.cat([b.slice for b in blocks]),
        torch.cat([b.shift for b in blocks]),
        torch.cat([b.gamma for b in blocks]),
        torch.cat([b.log_evidence for b in blocks]),
        torch.cat([b.effective for b in blocks]),
    )


def slice_statistics(
    posterior: Posterior,
    observations: Observations,
    phases: Complex[Tensor, "t p"],
    slice_count: int,
) -> SliceStatistics:
    """D and W of every slice from the posterior's entries: two sparse-dense products."""
    images, shifts = len(observations), len(phases)
    shifted = torch.view_as_real(shifted_images(observations.data, phases)).flatten(1)
    column = posterior.image * shifts + posterior.shift
    # torch warns unless it is told whether to check indices; these are right as they are made
    spread = torch.sparse_coo_tensor(
        torch.stack([posterior.slice, column]), posterior.gamma, (slice_count, images * shifts), check_invariants=False
    )
    data = torch.sparse.mm(spread, shifted).unflatten(1, (-1, 2))
    by_image = torch.sparse_coo_tensor(
        torch.stack([posterior.slice, posterior.image]), posterior.gamma, (slice_count, images), check_invariants=False
    )
    return SliceStatistics(torch.view_as_complex(data.contiguous()), torch.sparse.mm(by_image, observations.weight))


@dataclass(frozen=True, slots=True)
class _Views:
    """Slices as the matrix products take them, prepared once for all blocks of images.

    Attributes
    ----------
    parts
        Real and imaginary parts.
    power
        Squared moduli.
    log_prior
        Of slices and of their conjugates.
    """

    parts: Parts
    power: Float[Tensor, "g p"]
    log_prior: Float[Tensor, "2 g"]


def _block_posterior(
    observations: Observations,
    views: _Views,
    phases: Complex[Tensor, "t p"],
    of_shift: Float[Tensor, " t"],
    columns: int,
) -> Posterior:
    """Posterior of a block of images, the slices streamed ``columns`` at a time."""
    images, shifts = len(observations), len(phases)
    shifted = parts_of(shifted_images(observations.data, phases))
    best = shifted.real.new_full((images,), -torch.inf)
    log_squares = best.clone()
    blocks: list[Entries] = []
    for part in chunks(len(views.power), columns):
        even, odd = (each.unflatten(0, (images, shifts)) for each in even_and_odd(shifted, views.parts[part]))
        offset = views.log_prior[:, part] - model_energy(observations.weight, views.power[part])[:, None]
        entries = significant_entries(even, odd, of_shift, offset, best)
        best = torch.maximum(best, entries.best)
        log_squares = torch.logaddexp(log_squares, entries.log_squares)
        blocks.append(replace(entries, view=entries.view + 2 * part.start))
    return _normalise(blocks, best, log_squares)


def _normalise(blocks: list[Entries], best: Float[Tensor, " b"], log_squares: Float[Tensor, " b"]) -> Posterior:
    """Drop entries that a later block made negligible, divide by the evidence, sort by image."""
    image = torch.cat([entries.image for entries in blocks])
    relative = torch.cat([entries.log_weight for entries in blocks]) - best[image]
    kept = torch.nonzero(relative > -KEEP_NATS)[:, 0]
    kept = kept[image[kept].argsort(stable=True)] if len(blocks) > 1 else kept
    image, gamma = image[kept], relative[kept].exp()
    total = torch.zeros_like(best).index_add_(0, image, gamma)
    return Posterior(
        image=image,
        slice=torch.cat([entries.view for entries in blocks])[kept],
        shift=torch.cat([entries.shift for entries in blocks])[kept],
        gamma=gamma / total[image],
        log_evidence=best + total.log(),
        effective=torch.exp(2 * (best + total.log()) - log_squares),
    )
