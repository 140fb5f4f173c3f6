"""Stage "search": from random starts to first maps by stochastic steps at low resolution."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.records import pack
from cryorbit.core.seeds import generator_for
from cryorbit.fourier.half_disc import HalfDisc, half_disc
from cryorbit.geometry.rotations import random_rotations
from cryorbit.geometry.shift_grid import disc_grid
from cryorbit.inference.constraints import centre_offset, centred, windowed
from cryorbit.inference.global_search import coarse_grid
from cryorbit.inference.grey_scale import explained_scale
from cryorbit.inference.grid_oracle import CURVATURES, GridOracle
from cryorbit.inference.pose_grid import PoseGrid, grid_slices
from cryorbit.inference.priors import DensityPrior
from cryorbit.inference.random_start import random_blobs
from cryorbit.inference.voxel_prior import VoxelPrior
from cryorbit.optim.carrying import bound_to_terms, carried, last_state
from cryorbit.optim.next_sum import Before, step_on
from cryorbit.recipes.abinit.config import AbinitConfig
from cryorbit.recipes.abinit.prepare import AbinitDataset
from cryorbit.recipes.abinit.search_noise import assumed_noise, measured_noise
from cryorbit.recipes.abinit.search_schedule import (
    first_radius,
    mini_batch,
    mixing,
    search_radius,
    searched_volumes,
)
from cryorbit.recipes.abinit.state import AbinitState, Searched, StartOutcome
from cryorbit.volumes.voxel import resample, working_grid

CALIBRATION_IMAGES = 200
EXPLAINED = 0.5
"""Part of the images' power above the noise that a random start has."""
RECENT = 10
"""Mini-batches whose effective number of poses is averaged."""


def shift_step(dataset: AbinitDataset, radius: float) -> float:
    """Spacing of the shift grid in pixels: a third of the resolution."""
    return dataset.box / radius / 3


def begin(config: AbinitConfig, dataset: AbinitDataset, start: int, outcomes: tuple[StartOutcome, ...]) -> AbinitState:
    """The state before the first iteration of a random start."""
    radius = first_radius(config, dataset)
    grid = working_grid(dataset.box, radius)
    generator = generator_for(config.seed + start, "random start")
    window = dataset.window(grid.size)
    reach = 0.5 * dataset.diameter_px * grid.size / dataset.box
    blobs = [random_blobs(grid.size, reach, generator) for _ in range(searched_volumes(config))]
    volume = windowed(torch.stack(blobs).to(dataset.source.device), window).clamp_min(0)
    volume = volume * _first_scale(dataset, volume, radius, generator)
    return AbinitState(
        start=start,
        stage="search",
        iteration=0,
        volume=volume,
        noise_variance=dataset.noise_variance,
        radius=radius,
        outcomes=outcomes,
    )


def search_iteration(
    config: AbinitConfig, dataset: AbinitDataset, state: AbinitState
) -> tuple[AbinitState, dict[str, Any]]:
    """One step of the optimiser: on the next mini-batch, or on several as one sum if it remembers its images."""
    settings, n = config.search, state.iteration
    method = settings.made()
    last = last_state(method, state.method, state.volume.device)
    batches = settings.pool if bound_to_terms(last) else 1
    noise = assumed_noise(config, dataset, state)
    oracle, size = _oracle(config, dataset, replace(state, noise_variance=noise), batches)
    side, seed = oracle.grid.size, config.seed + state.start
    scale = None if state.searched is None else state.searched.scale
    before = Before(last, scale, tuple(state.volume.shape), lambda value: resample(value, side))
    generators = generator_for(seed, "mini-batches of the search", n), generator_for(seed, "optimiser of the search", n)
    after = step_on(method, oracle, resample(state.volume, side), before, size, generators)
    volume = windowed(after.x, dataset.window(side))
    # not to the end: cutting negative values biases a map, and the more so the finer it is
    if n < settings.positive_fraction * settings.iterations:
        volume = volume.clamp_min(0)
    offsets = centre_offset(volume)
    walk = carried(after.state, tuple(after.x.shape), lambda value: centred(value, offsets))
    effective = oracle.reports[-1].effective
    recent = (*(() if state.searched is None else state.searched.effective), effective)[-RECENT:]
    over = _is_over(config, n + batches, recent)
    return replace(
        state,
        stage="grow" if over else "search",
        iteration=0 if over else n + batches,
        volume=centred(volume, offsets),
        method=None if over else pack(walk),
        radius=oracle.disc.radius,
        searched=None if over else Searched(recent, after.scale, measured_noise(config, state, oracle, noise)),
    ), _metrics(dataset, oracle, after.evaluations)


def _metrics(dataset: AbinitDataset, oracle: GridOracle, evaluations: int) -> dict[str, Any]:
    """The line of a step in ``metrics.jsonl``."""
    report = oracle.reports[-1]
    return {
        "resolution_A": dataset.extent / oracle.disc.radius,
        "log_likelihood": report.log_likelihood,
        "ess": report.effective,
        "class_fractions": report.class_fractions.tolist(),
        "batch": oracle.num_terms,
        "evaluations": evaluations,
    }


def _oracle(config: AbinitConfig, dataset: AbinitDataset, state: AbinitState, count: int) -> tuple[GridOracle, int]:
    """The sum over the images of the next mini-batches, and the size of the first, under the noise of ``state``."""
    settings, n = config.search, state.iteration
    generator = generator_for(config.seed + state.start, "search of a mini-batch", n)
    radius = search_radius(config, dataset, n)
    disc, grid = half_disc(dataset.box, radius).to(dataset.source.device), working_grid(dataset.box, radius)
    batches = [mini_batch(config, dataset, state.start, n + number) for number in range(count)]
    observations = dataset.source.observe(torch.cat(batches), disc, state.noise_variance)
    poses = _perturbed_grid(config, dataset, radius, generator)
    prior = VoxelPrior(DensityPrior(settings.sparsity, 0.0), grid, len(dataset.order)) if settings.sparsity else None
    oracle = GridOracle(
        observations,
        poses,
        grid,
        disc,
        CURVATURES[settings.metric],
        mixing(config, n),
        prior,
        measures_residuals=settings.noise_model == "residuals",
    )
    return oracle, len(batches[0])


def _is_over(config: AbinitConfig, done: int, recent: tuple[float, ...]) -> bool:
    """Whether the search may end: its steps are done, and by now most images tell their poses.

    Growth holds on to the poses that it is given; where noise hides them longer, the search must go on.
    """
    settings = config.search
    if done < settings.iterations:
        return False
    return sum(recent) / len(recent) < settings.ambiguous or done >= settings.longest * settings.iterations


def _perturbed_grid(
    config: AbinitConfig, dataset: AbinitDataset, radius: float, generator: torch.Generator
) -> PoseGrid:
    """The grid turned and moved at random: over iterations its gaps are visited, too."""
    device = dataset.noise_variance.device
    turn = random_rotations(1, generator).float().to(device)
    step = shift_step(dataset, radius)
    jitter = (torch.rand(2, generator=generator, dtype=torch.float64) - 0.5) * step
    shifts = disc_grid(config.shift_range * dataset.box, step) + jitter
    rotations = coarse_grid(config.search.angular_spacing, searched_volumes(config), turn) @ turn
    return PoseGrid(rotations, shifts.float().to(device))


def _first_scale(
    dataset: AbinitDataset, volume: Float[Tensor, "k m m m"], radius: float, generator: torch.Generator
) -> float:
    """Grey scale at which the start explains part of the power that the images have above the noise.

    A start that is too strong makes the first posteriors collapse on whatever it resembles.
    """
    source = dataset.source
    disc: HalfDisc = half_disc(dataset.box, radius).to(source.device)
    index = dataset.order[:CALIBRATION_IMAGES]
    observed = source.observe(index, disc, dataset.noise_variance)
    grid = working_grid(dataset.box, radius)
    turns = random_rotations(100, generator).float().to(source.device)
    slices = grid_slices(grid.model(volume), turns.expand(len(volume), -1, -1, -1), disc)
    return explained_scale(observed, slices, EXPLAINED)
