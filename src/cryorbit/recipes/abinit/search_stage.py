"""Stage "search": from a random start to a first map by stochastic steps at low resolution."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.epochs import stretch_of_epochs
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
from cryorbit.inference.random_start import random_blobs
from cryorbit.optim.carrying import bound_to_terms, carried, last_state
from cryorbit.optim.next_sum import Before, step_on
from cryorbit.recipes.abinit.config import AbinitConfig
from cryorbit.recipes.abinit.prepare import AbinitDataset
from cryorbit.recipes.abinit.state import AbinitState, Searched, StartOutcome
from cryorbit.volumes.voxel import resample, working_grid

CALIBRATION_IMAGES = 200
EXPLAINED = 0.5
"""Part of the images' power above the noise that a random start has."""
RECENT = 10
"""Mini-batches whose effective number of poses is averaged."""


def first_radius(config: AbinitConfig, dataset: AbinitDataset) -> float:
    """Fourier radius of the first iteration: 35 A, or what suits a particle much smaller or larger than usual."""
    resolution = config.search.initial_resolution
    if resolution is None:
        resolution = min(max(35.0, dataset.diameter / 8), dataset.diameter / 3.5)
    return min(max(dataset.extent / resolution, 3.0), dataset.box / 2 - 2)


def last_search_radius(config: AbinitConfig, dataset: AbinitDataset) -> float:
    """Fourier radius at which the search hands over."""
    return min(first_radius(config, dataset) * config.search.annealing, dataset.box / 2 - 1)


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
    blobs = random_blobs(grid.size, reach, generator).to(dataset.source.device)
    volume = windowed(blobs[None], window).clamp_min(0)
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
    oracle, size = _oracle(config, dataset, state, (n, batches))
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
    report = oracle.reports[-1]
    metrics = {
        "resolution_A": dataset.extent / oracle.disc.radius,
        "log_likelihood": report.log_likelihood,
        "ess": report.effective,
        "class_fractions": report.class_fractions.tolist(),
        "batch": oracle.num_terms,
        "evaluations": after.evaluations,
    }
    recent = (*(() if state.searched is None else state.searched.effective), report.effective)[-RECENT:]
    over = _is_over(config, n + batches, recent)
    return replace(
        state,
        stage="grow" if over else "search",
        iteration=0 if over else n + batches,
        volume=centred(volume, offsets),
        method=None if over else pack(walk),
        radius=oracle.disc.radius,
        searched=None if over else Searched(recent, after.scale),
    ), metrics


def _oracle(
    config: AbinitConfig, dataset: AbinitDataset, state: AbinitState, mini_batches: tuple[int, int]
) -> tuple[GridOracle, int]:
    """The sum over the images of some mini-batches (the first one's number, how many), and the size of the first."""
    settings, (n, count) = config.search, mini_batches
    generator = generator_for(config.seed + state.start, "search of a mini-batch", n)
    radius = _radius(config, dataset, n)
    disc = half_disc(dataset.box, radius).to(dataset.source.device)
    batches = [_batch(config, dataset, state.start, n + number) for number in range(count)]
    observations = dataset.source.observe(torch.cat(batches), disc, state.noise_variance * _inflation(config, n))
    poses, grid = _perturbed_grid(config, dataset, radius, generator), working_grid(dataset.box, radius)
    metric, mixing = CURVATURES[settings.metric], settings.class_mixing
    return GridOracle(observations, poses, grid, disc, metric, mixing), len(batches[0])


def _is_over(config: AbinitConfig, done: int, recent: tuple[float, ...]) -> bool:
    """Whether the search may end: its steps are done, and by now most images tell their poses.

    Growth holds on to the poses that it is given; where noise hides them longer, the search must go on.
    """
    settings = config.search
    if done < settings.iterations:
        return False
    return sum(recent) / len(recent) < settings.ambiguous or done >= settings.longest * settings.iterations


def _radius(config: AbinitConfig, dataset: AbinitDataset, n: int) -> float:
    """Constant for a fifth of the search, then linear, then constant for the last fifth."""
    first, last = first_radius(config, dataset), last_search_radius(config, dataset)
    progress = (n / config.search.iterations - 0.2) / 0.6
    return first + (last - first) * min(max(progress, 0.0), 1.0)


def _inflation(config: AbinitConfig, n: int) -> float:
    """Factor on the noise variance: it starts high, and every image seen takes some of the excess away."""
    settings = config.search
    seen = n * 0.5 * (settings.batch_first + settings.batch_last)
    excess = (settings.noise_inflation - 1) / (1 + seen / settings.noise_inflation_images)
    return 1 + excess


def _batch(config: AbinitConfig, dataset: AbinitDataset, start: int, n: int) -> Int[Tensor, " b"]:
    """Mini-batch ``n``: the next images of an endless sequence of shuffled epochs."""
    settings, count = config.search, len(dataset.order)
    growth = (settings.batch_last - settings.batch_first) / max(1, settings.iterations - 1)
    sizes = [min(count, round(settings.batch_first + growth * i)) for i in range(n + 1)]
    generator = partial(generator_for, config.seed + start, "order of the search")
    return dataset.order[stretch_of_epochs(count, sum(sizes[:-1]), sizes[-1], generator)]


def _perturbed_grid(
    config: AbinitConfig, dataset: AbinitDataset, radius: float, generator: torch.Generator
) -> PoseGrid:
    """The grid turned and moved at random: over iterations its gaps are visited, too."""
    device = dataset.noise_variance.device
    turn = random_rotations(1, generator).float().to(device)
    step = shift_step(dataset, radius)
    jitter = (torch.rand(2, generator=generator, dtype=torch.float64) - 0.5) * step
    shifts = disc_grid(config.shift_range * dataset.box, step) + jitter
    rotations = coarse_grid(config.search.angular_spacing, 1, turn) @ turn
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
    turns = random_rotations(100, generator).float()[None].to(source.device)
    slices = grid_slices(grid.model(volume), turns, disc)
    return explained_scale(observed, slices, EXPLAINED)
