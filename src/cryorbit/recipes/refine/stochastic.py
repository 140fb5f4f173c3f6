"""Stage "sgd": stochastic steps of both half-sets by an optimiser of choice (Toader, Brubaker & Lederman 2025).

Every step looks at a mini-batch of each half-set, and goes along the preconditioned gradient of ``half_set_oracle``.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.epochs import stretch_of_epochs
from cryorbit.core.records import pack
from cryorbit.core.seeds import generator_for
from cryorbit.inference.constraints import windowed
from cryorbit.inference.mstep import half_map_correlation, resolved_radius
from cryorbit.inference.pose_estimates import PoseEstimates, joined_estimates, nothing_known
from cryorbit.optim.carrying import bound_to_terms, last_state
from cryorbit.optim.next_sum import Before, step_on
from cryorbit.recipes.dataset import Dataset
from cryorbit.recipes.refine.config import RefineConfig
from cryorbit.recipes.refine.e_step import EStep, half_set_rows, updated_noise
from cryorbit.recipes.refine.half_set_oracle import HalfSetOracle, RunningMean
from cryorbit.recipes.refine.passes import joined, next_radius
from cryorbit.recipes.refine.pose_candidates import COARSER_POSES
from cryorbit.recipes.refine.radii import inserted_radius, mini_batch_radius
from cryorbit.recipes.refine.settling import stands_still, widened
from cryorbit.recipes.refine.state import RefineState, Walk
from cryorbit.volumes.voxel import resample, working_grid

FEW_BATCHES = 20
"""Of a set of at most so many mini-batches the passes are cheap as soon as images tell their poses."""
FIRST_CORRELATION = 0.9
"""Correlation of the half maps that is assumed before there are any."""
LATEST = 0.3
"""Part that a mini-batch has in the running mean of log-likelihoods: those of two mini-batches differ by chance."""


def stochastic_iteration(
    config: RefineConfig, dataset: Dataset, state: RefineState
) -> tuple[RefineState, dict[str, Any]]:
    """One step of the optimiser; the stage ends when neither resolution nor likelihood grow, or when passes are cheap.

    Where images leave their poses open, a mini-batch moves the references as far as a pass does. Where they tell them,
    EM takes few passes, and searches around known poses.
    """
    method, walk = config.sgd.made(), state.walk
    last = last_state(method, None if walk is None else walk.method, state.references.device)
    batches = config.sgd.pool if bound_to_terms(last) else 1
    oracle = _oracle(config, dataset, state, batches)
    size = oracle.grid.size
    volume = resample(state.references, size)
    generator = generator_for(config.seed, "optimiser of the refinement", state.iteration)
    scale, shape = None if walk is None else walk.scale, tuple(state.references.shape)
    before = Before(last, scale, shape, lambda value: resample(value, size))
    terms = -(-oracle.num_terms // batches) if batches > 1 else None
    after = step_on(method, oracle, volume, before, terms, (generator, generator))
    moved = torch.stack([windowed(half, oracle.mask) for half in after.x])
    (evaluated,) = oracle.last
    fsc = half_map_correlation(moved[0], moved[1], _shells(oracle.inserted))
    resolved = float(max(resolved_radius(curve, config.passes.threshold) for curve in fsc))
    radius = mini_batch_radius(state.radius, next_radius(config, dataset, state, resolved), dataset.box)
    wider = widened(state.radius, radius)
    likelihood = _running_mean(walk, evaluated.estep.log_likelihood)
    stalled = stands_still(config, state, resolved, likelihood, at_new_radius=wider)
    estimates, posed_radius = _poses(state, evaluated.estep, len(dataset.particles))
    new = replace(
        state,
        references=joined(config, dataset, moved),
        noise_variance=updated_noise(evaluated.estep, dataset, state, oracle.inserted, config.passes.noise_prior),
        radius=radius,
        resolved=max(resolved, state.resolved),
        stalled=state.stalled + 1 if stalled else 0,
        estimates=estimates,
        posed_radius=posed_radius,
        history=(*state.history, resolved),
        best_likelihood=-math.inf if wider else max(likelihood, state.best_likelihood),
        walk=Walk(pack(after.state), after.scale, evaluated.preconditioner.weight, fsc, None if wider else likelihood),
    )
    metrics = evaluated.estep.metrics(dataset, state.radius)
    metrics |= {"evaluations": after.evaluations, "resolved_A": dataset.extent / resolved}
    passes_pay = evaluated.estep.elsewhere < config.sgd.ambiguous and _is_small(config, dataset)
    return _advanced(config, new, batches, passes_pay=passes_pay), metrics


def _running_mean(walk: Walk | None, log_likelihood: float) -> float:
    """Of the log-likelihoods of mini-batches at one radius."""
    if walk is None or walk.log_likelihood is None:
        return log_likelihood
    return (1 - LATEST) * walk.log_likelihood + LATEST * log_likelihood


def _poses(state: RefineState, estep: EStep, particles: int) -> tuple[PoseEstimates, float]:
    """Poses of the images met so far but for much coarser ones, and the least radius that they were scored to."""
    estimates, radius = state.estimates, state.posed_radius
    if estimates is None or state.radius > COARSER_POSES * radius:
        estimates, radius = nothing_known(particles, state.references.shape[1], state.references), state.radius
    return estimates.with_some(torch.cat(estep.index), joined_estimates(estep.estimates)), radius


def _oracle(config: RefineConfig, dataset: Dataset, state: RefineState, batches: int) -> HalfSetOracle:
    """The sum over the images of the next mini-batches."""
    images = [mini_batches(config, dataset, state.iteration + number) for number in range(batches)]
    # in the order in which they are stored
    first, second = (torch.cat(part).sort().values for part in zip(*images, strict=True))
    inserted = mini_batch_radius(state.radius, inserted_radius(state.radius, dataset.box), dataset.box)
    curvature = RunningMean(None if state.walk is None else state.walk.curvature, config.sgd.forgetting)
    fsc, window = _correlation(state, inserted), dataset.window(working_grid(dataset.box, inserted).size)
    return HalfSetOracle(config, dataset, state, (first, second), inserted, fsc, curvature, window)


def _correlation(state: RefineState, inserted: float) -> Float[Tensor, "k s"]:
    """Correlation of the last half-maps in the shells of the statistics, which the prior follows."""
    count = _shells(inserted)
    if state.walk is None:
        return state.references.new_full((state.references.shape[1], count), FIRST_CORRELATION)
    known = state.walk.fsc
    shells = torch.arange(count, device=known.device).clamp_max(known.shape[1] - 1)
    return known[:, shells].to(state.references)


def _shells(inserted: float) -> int:
    """Shells of statistics that go to a radius, and one beyond."""
    return int(inserted) + 2


def mini_batches(config: RefineConfig, dataset: Dataset, iteration: int) -> tuple[Int[Tensor, " a"], Int[Tensor, " b"]]:
    """The images of a step: the next ones of shuffled epochs, sorted as they are stored."""
    first, second = (_next_images(config, half, iteration) for half in half_set_rows(dataset))
    return first, second


def _next_images(config: RefineConfig, images: Int[Tensor, " n"], iteration: int) -> Int[Tensor, " b"]:
    size = _batch_size(config, len(images))
    generator = partial(generator_for, config.seed, "order of an epoch")
    return images[stretch_of_epochs(len(images), iteration * size, size, generator)].sort().values


def _batch_size(config: RefineConfig, images: int) -> int:
    """Images of a mini-batch of a half-set of so many."""
    return min(config.sgd.batch or min(1000, max(150, images // 10)), images)


def _is_small(config: RefineConfig, dataset: Dataset) -> bool:
    """Whether a pass is worth few mini-batches."""
    first, _ = half_set_rows(dataset)
    return len(first) <= FEW_BATCHES * _batch_size(config, len(first))


def _advanced(config: RefineConfig, state: RefineState, batches: int, *, passes_pay: bool) -> RefineState:
    """The state at its next mini-batch, or at the first pass over all particles, which knows the poses found so far."""
    done = state.iteration + batches
    if not passes_pay and state.stalled < config.sgd.patience and done < config.sgd.iterations:
        return replace(state, iteration=done)
    return replace(state, stage="pass", iteration=0, resolved=0.0, stalled=0, best_likelihood=-math.inf, walk=None)
