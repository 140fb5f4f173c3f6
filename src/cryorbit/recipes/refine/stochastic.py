"""Stage "sgd": preconditioned stochastic gradient steps of both half-sets (Toader, Brubaker & Lederman 2025).

Every step looks at a mini-batch of each half-set. The gradient ``D - W q - q / tau^2`` is divided by the running mean
of W plus ``1 / tau^2``: with a rate of one, no momentum and all images this is the M-step of the passes that follow.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.seeds import generator_for
from cryorbit.fourier.interpolation import join_mates
from cryorbit.inference.constraints import windowed
from cryorbit.inference.mstep import ShellWeights, half_map_correlation, resolved_radius, shell_weights
from cryorbit.inference.preconditioned import data_gradient, half_prior, preconditioned_step
from cryorbit.recipes.particle_input import ParticleInput
from cryorbit.recipes.refine.config import RefineConfig
from cryorbit.recipes.refine.expectation import Expectation, expectation, half_sets, updated_noise
from cryorbit.recipes.refine.passes import joined, next_radius
from cryorbit.recipes.refine.radii import inserted_radius
from cryorbit.recipes.refine.state import State
from cryorbit.volumes.voxel import VoxelGrid, on_grid, resample, working_grid

FIRST_CORRELATION = 0.9
"""Correlation of the half maps that is assumed before there are any."""


def stochastic_iteration(config: RefineConfig, given: ParticleInput, state: State) -> tuple[State, dict[str, Any]]:
    """One step of both half-sets; the stage ends when the resolution has stopped growing."""
    inserted = inserted_radius(state.radius, given.box)
    grid = working_grid(given.box, inserted)
    found = expectation(config, given, state, inserted, mini_batches(config, given, state.iteration))
    weights = shell_weights(found.statistics, grid, inserted)
    curvature = _running_curvature(config, state, found, grid)
    volume = resample(state.references, grid.size)
    step = _preconditioned_step(state, found, volume, weights, curvature, grid)
    velocity = step if "velocity" not in state.extra else resample(state.extra["velocity"], grid.size)
    velocity = config.sgd.momentum * velocity + (1 - config.sgd.momentum) * step
    window = given.window(grid.size)
    moved = torch.stack([windowed(half, window) for half in volume + config.sgd.rate * velocity])
    fsc = half_map_correlation(moved[0], moved[1], weights.mean.shape[-1])
    resolved = float(max(resolved_radius(curve, config.passes.threshold) for curve in fsc))
    carried = {"velocity": velocity, "curvature": curvature, "fsc": fsc}
    new = replace(
        state,
        references=joined(config, given, moved),
        noise_variance=updated_noise(found, given, state, inserted, config.passes.noise_prior),
        radius=next_radius(config, given, state, resolved),
        history=(*state.history, resolved),
        extra={**state.extra, **carried},
    )
    return _advanced(config, new, resolved), {
        **found.metrics(given, state.radius),
        "resolved_A": given.extent / resolved,
    }


def mini_batches(
    config: RefineConfig, given: ParticleInput, iteration: int
) -> tuple[Int[Tensor, " a"], Int[Tensor, " b"]]:
    """The images of a step: the next ones of shuffled epochs, sorted as they are stored."""
    first, second = (_next_images(config, half, iteration) for half in half_sets(given))
    return first, second


def _next_images(config: RefineConfig, images: Int[Tensor, " n"], iteration: int) -> Int[Tensor, " b"]:
    size = config.sgd.batch or min(1000, max(150, len(images) // 10))
    size = min(size, len(images))
    epoch, number = divmod(iteration, len(images) // size)
    shuffled = images[torch.randperm(len(images), generator=generator_for(config.seed, "order of an epoch", epoch))]
    return shuffled[number * size : (number + 1) * size].sort().values


def _running_curvature(
    config: RefineConfig, state: State, found: Expectation, grid: VoxelGrid
) -> Float[Tensor, "2 k q q h"]:
    """Running mean of W; frequencies that earlier grids did not hold start with this batch's."""
    weight = torch.stack([join_mates(half) for half in found.statistics.weight])
    if "curvature" not in state.extra:
        return weight
    before = on_grid(state.extra["curvature"], grid)
    share = config.sgd.forgetting
    return torch.where(before > 0, (1 - share) * before + share * weight, weight)


def _preconditioned_step(
    state: State,
    found: Expectation,
    volume: Float[Tensor, "2 k m m m"],
    weights: ShellWeights,
    curvature: Float[Tensor, "2 k q q h"],
    grid: VoxelGrid,
) -> Float[Tensor, "2 k m m m"]:
    """The gradient, prior included, divided by the curvature, prior included; 1/tau^2 from the last half maps."""
    count = weights.mean.shape[-1]
    fsc = volume.new_full((volume.shape[1], count), FIRST_CORRELATION)
    known = state.extra.get("fsc")
    if known is not None:
        shells = torch.arange(count, device=volume.device).clamp_max(known.shape[1] - 1)
        fsc = known[:, shells].to(volume)
    steps = []
    for h in range(2):
        gradient, prior = data_gradient(found.statistics, h, volume[h], grid), half_prior(weights, h, fsc)
        steps.append(preconditioned_step(gradient, volume[h], prior, curvature[h], grid))
    return torch.stack(steps)


def _advanced(config: RefineConfig, state: State, resolved: float) -> State:
    """The state at its next step, or at the first pass over all particles with nothing carried along."""
    stalled = 0 if resolved > state.resolved else state.stalled + 1
    if stalled < config.sgd.patience and state.iteration + 1 < config.sgd.iterations:
        return replace(state, iteration=state.iteration + 1, resolved=max(resolved, state.resolved), stalled=stalled)
    extra: dict[str, Any] = {name: state.extra[name] for name in ("start", "start_notes") if name in state.extra}
    return replace(state, stage="pass", iteration=0, resolved=0.0, stalled=0, extra=extra)
