"""The E-step on a quadrature, exactly: every node counts, none is pruned, and all of it is products of real matrices.

Suffix legend: B images, T shifts, G rotations (each with its half turn), P Fourier coefficients.

The scores of a slice and of its half turn are ``a + b`` and ``a - b`` less the same power term
(``inference.grid_scores``); their posteriors enter D through their sum and their difference only, W through their sum:
half the products, slices and memory.

Where it differs from ``inference.marginal``: that one keeps the poses that matter for each image, which is cheaper when
there are many shifts; this one is smooth, so that it has exact derivatives in any precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.core.chunks import chunk_size, chunks
from cryorbit.core.memory import batch_bytes
from cryorbit.imaging.observations import Observations
from cryorbit.inference.grid_scores import Parts, even_and_odd, model_energy, parts_of, shifted_images, squared
from cryorbit.inference.marginal import SliceStatistics

BUDGET_BYTES = 64 * 2**20
NEGLIGIBLE_NATS = 60.0
"""Poses so much less likely than the best one count as if they were just as unlikely as this: 1e-26 each."""
ARRAYS = 4
"""Arrays of the size of the scores that are alive at once."""


@dataclass(frozen=True, slots=True)
class Nodes:
    """Slices and phases at the nodes of a quadrature.

    Attributes
    ----------
    slices
        Slice at each rotation; its conjugate belongs to the half turn.
    phases
        Of each shift.
    log_weight, log_shift_weight
        Logarithms of the weights of rotations and shifts.
    """

    slices: Complex[Tensor, "g p"]
    phases: Complex[Tensor, "t p"]
    log_weight: Float[Tensor, " g"]
    log_shift_weight: Float[Tensor, " t"]


@dataclass(frozen=True, slots=True)
class Block:
    """Posterior of a block of images over all nodes, and the shifted images it was made of.

    Attributes
    ----------
    rows
        Which images.
    plus, minus
        Posterior of every shift and rotation, and of its half turn; times ``total``.
    total
        Their sum over the nodes of each image.
    log_evidence
        Log-likelihood of each image relative to pure noise, nats.
    shifted
        The shifted images.
    """

    rows: slice
    plus: Float[Tensor, "bt g"]
    minus: Float[Tensor, "bt g"]
    total: Float[Tensor, " b"]
    log_evidence: Float[Tensor, " b"]
    shifted: Parts


def log_evidence(observations: Observations, nodes: Nodes) -> Float[Tensor, " n"]:
    """Log-likelihood of each image relative to pure noise, nats."""
    return torch.cat([block.log_evidence for block in _joint(observations, nodes)])


def expect_slices(observations: Observations, nodes: Nodes) -> tuple[Float[Tensor, " n"], SliceStatistics]:
    """Log-likelihoods, and D and W of every rotation, half turns turned back: sums over the images."""
    re, im = (torch.zeros_like(nodes.slices.real) for _ in range(2))
    weight, evidence = torch.zeros_like(re), []
    for block in _joint(observations, nodes):
        # the narrow images are divided by the sums of the joint densities, not the wide densities
        portion = block.total.reciprocal()[:, None]
        wide = portion.repeat_interleave(len(nodes.phases), 0)
        both = block.plus + block.minus
        per_image = both.unflatten(0, (len(portion), -1)).sum(1)
        live = _live(per_image * portion)
        re[live] += both[:, live].mT @ (block.shifted.real * wide)
        im[live] += block.plus.sub_(block.minus)[:, live].mT @ (block.shifted.imag * wide)
        weight[live] += per_image[:, live].mT @ (observations.weight[block.rows] * portion)
        evidence.append(block.log_evidence)
    return torch.cat(evidence), SliceStatistics(torch.complex(re, im), weight)


def expect_changes(
    observations: Observations, nodes: Nodes, changes: Complex[Tensor, "g p"]
) -> tuple[SliceStatistics, SliceStatistics]:
    """D and W, and their derivatives as the slices move along ``changes``."""
    re, im, moved_re, moved_im = (torch.zeros_like(nodes.slices.real) for _ in range(4))
    weight, moved_weight = torch.zeros_like(re), torch.zeros_like(re)
    overlap = (nodes.slices.conj() * changes).real
    for block in posteriors(observations, nodes):
        images = len(block.log_evidence)
        even, odd = even_and_odd(block.shifted, parts_of(changes))
        power = observations.weight[block.rows] @ overlap.mT
        even = (even.unflatten(0, (images, -1)) - power[:, None]).flatten(0, 1)
        plus, minus = block.plus * (even + odd), block.minus * (even - odd)
        mean = (plus + minus).unflatten(0, (images, -1)).sum((1, 2)).repeat_interleave(len(plus) // images)
        plus, minus = plus - block.plus * mean[:, None], minus - block.minus * mean[:, None]
        for (up, down), (to_re, to_im, to_weight) in (
            ((block.plus, block.minus), (re, im, weight)),
            ((plus, minus), (moved_re, moved_im, moved_weight)),
        ):
            to_re += (up + down).mT @ block.shifted.real
            to_im += (up - down).mT @ block.shifted.imag
            to_weight += (up + down).unflatten(0, (images, -1)).sum(1).mT @ observations.weight[block.rows]
    statistics = SliceStatistics(torch.complex(re, im), weight)
    return statistics, SliceStatistics(torch.complex(moved_re, moved_im), moved_weight)


def posteriors(observations: Observations, nodes: Nodes) -> Iterator[Block]:
    """Posteriors over all nodes, a block of images at a time."""
    for block in _joint(observations, nodes):
        wide = block.total.repeat_interleave(len(nodes.phases))[:, None]
        block.plus.div_(wide)
        block.minus.div_(wide)
        yield replace(block, total=torch.ones_like(block.total))


def _joint(observations: Observations, nodes: Nodes) -> Iterator[Block]:
    """Densities of images and poses together, relative to the likeliest pose of each image."""
    for rows, plus, minus, shifted in _scored(observations, nodes):
        peak = torch.maximum(plus.amax((1, 2)), minus.amax((1, 2)))
        for scores in (plus, minus):
            # exponentials that underflow take ten times as long as others
            scores.sub_(peak[:, None, None]).clamp_min_(-NEGLIGIBLE_NATS).exp_()
        total = plus.sum((1, 2)) + minus.sum((1, 2))
        yield Block(rows, plus.flatten(0, 1), minus.flatten(0, 1), total, peak + total.log(), shifted)


def _scored(
    observations: Observations, nodes: Nodes
) -> Iterator[tuple[slice, Float[Tensor, "b t g"], Float[Tensor, "b t g"], Parts]]:
    """Scores with their log-weights of rotations and of half turns, and the shifted images, in blocks."""
    phases, slices, power = nodes.phases, parts_of(nodes.slices), squared(nodes.slices)
    size = power.element_size() * len(phases) * len(slices) * ARRAYS
    budget = batch_bytes(nodes.slices.device, BUDGET_BYTES)
    for rows in chunks(len(observations), chunk_size(size, budget, len(observations))):
        shifted = parts_of(shifted_images(observations.data[rows], phases))
        offset = nodes.log_weight - model_energy(observations.weight[rows], power)
        even, odd = (each.unflatten(0, (-1, len(phases))) for each in even_and_odd(shifted, slices))
        even += offset[:, None] + nodes.log_shift_weight[:, None]
        # the sum before the difference, which takes its place in memory
        yield rows, even + odd, even.sub_(odd), shifted


def _live(per_image: Float[Tensor, "b g"]) -> Tensor | slice:
    """Rotations whose posterior is not below rounding in the sum over rotations."""
    mass = per_image.sum(0)
    # to take rows out is to copy them, which pays only where half of them go
    live = torch.nonzero(mass > torch.finfo(mass.dtype).eps * mass.sum() / len(mass))[:, 0]
    return live if len(live) < len(mass) // 2 else slice(None)
