"""Stages "grow", "sort" and "finish": passes over many images with poses refined where their posterior is."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.seeds import generator_for
from cryorbit.fourier.half_disc import half_disc
from cryorbit.inference.band import band_within
from cryorbit.inference.candidates import Candidates, in_every_class
from cryorbit.inference.exact_sums import exact_sums
from cryorbit.inference.global_search import (
    GlobalSearch,
    coarse_spacing,
    moved_fraction,
    resolvable_radius,
    search_all_poses,
)
from cryorbit.inference.local_search import Descent, Refinement, refine_poses
from cryorbit.inference.mstep import Maps, maximise, resolved_radius
from cryorbit.inference.noise import spectrum_of_residuals
from cryorbit.inference.pose_estimates import PoseEstimates
from cryorbit.inference.pose_levels import levels_for
from cryorbit.inference.pose_space import PoseSpace
from cryorbit.inference.relaxation import Scored, relaxed
from cryorbit.inference.statistics import VolumeStatistics, symmetrised, volume_statistics
from cryorbit.recipes.abinit.config import AbinitConfig
from cryorbit.recipes.abinit.prepare import AbinitDataset
from cryorbit.recipes.abinit.search_schedule import last_search_radius, searched_volumes
from cryorbit.recipes.abinit.search_stage import shift_step
from cryorbit.recipes.abinit.state import AbinitState
from cryorbit.recipes.pass_curves import half_map_curves
from cryorbit.volumes.voxel import resample


def largest_radius(config: AbinitConfig, dataset: AbinitDataset) -> float:
    """Largest Fourier radius at which poses are scored."""
    # cryoSPARC's ab initio ends at 12 A; small particles have few shells to there
    finest = config.max_resolution or min(12.0, dataset.diameter / 10)
    return min(dataset.extent / finest, dataset.box / 2 - 1)


def grow_iteration(
    config: AbinitConfig, dataset: AbinitDataset, state: AbinitState
) -> tuple[AbinitState, dict[str, Any]]:
    """One pass over the batch with the consensus, or with all classes that were searched together.

    The radius follows what the half maps agree on, of several classes those that agree best.
    """
    batch = growth_batch(config, dataset)
    limit = largest_radius(config, dataset)
    radius = min(limit, max(state.radius, last_search_radius(config, dataset) * 1.1))
    last = Scored(0.0, -math.inf) if state.grown is None else state.grown
    cells, searched = batch_cells(config, dataset, state, batch, stands=radius == last.radius)
    statistics, estimates, maps = full_pass(config, dataset, replace(state, radius=radius), batch, cells)
    resolved = max(resolved_radius(fsc, config.grow.threshold) for fsc in maps.fsc)
    next_radius = min(limit, max(radius, resolved + config.grow.margin))
    likelihood = float(statistics.log_evidence / statistics.images)
    now = Scored(radius, likelihood)
    # likelihoods of passes at two radii do not compare
    gained = likelihood - last.likelihood if radius == last.radius else math.inf
    converged = next_radius == radius and gained < config.grow.least_gain * likelihood
    over = converged or state.iteration + 1 == config.grow.iterations
    new = after_pass(config, dataset, replace(state, cells=cells, radius=radius), statistics, maps)
    fractions, split = class_fractions(statistics), config.classes > len(state.volume)
    new = replace(
        new,
        # a map that goes beyond its M-step is for the next pass to correct
        volume=new.volume if over else relaxed(state.volume, new.volume, config.grow.relaxation, now, last),
        radius=next_radius,
        estimates=estimates,
        grown=now,
        fresh_cells=searched,
        stage=("split" if split else "judge") if over else "grow",
        iteration=state.iteration if over and split else 0 if over else state.iteration + 1,
        # of a consensus there is one, and of the classes that it is split into there are none yet
        class_fractions=None if split else fractions,
    )
    new = new if over else _all_alive(config, new, fractions)
    return new, pass_metrics(dataset, radius, statistics, estimates) | half_map_curves(dataset.extent, maps.fsc)


def batch_cells(
    config: AbinitConfig, dataset: AbinitDataset, state: AbinitState, batch: Int[Tensor, " b"], *, stands: bool
) -> tuple[Candidates, bool]:
    """Coarse candidates of the batch, and whether all poses were searched: those of the last pass while they hold.

    Those of a search serve two passes where the radius ``stands``: the map has hardly changed. Later they hold when,
    for a sample of the batch, a fresh search under the present map finds the orientations that the last pass refined.
    Early on many images sit at poses that a poor map favoured, and a local search keeps them there.
    """
    if state.cells is None:
        return find_cells(config, dataset, state, batch), True
    if stands and state.fresh_cells:
        return state.cells, False
    count = min(config.grow.check_images, len(batch))
    # other particles in every pass
    start = (state.iteration * count) % (len(batch) - count + 1)
    # the order of the particles that train is random, that of the batch is not
    sample = torch.searchsorted(batch, dataset.order[start : start + count].sort().values)
    fresh = find_cells(config, dataset, state, batch[sample])
    tolerance = 1.5 * coarse_spacing(config.search.angular_spacing)
    assert state.estimates is not None
    # classes that were searched together stand in frames of their own
    in_class = within_class(fresh, state.estimates.klass[sample])
    moved = moved_fraction(in_class, state.estimates.rotation[sample], tolerance)
    if moved > config.grow.moved:
        return find_cells(config, dataset, state, batch), True
    return state.cells, False


def growth_batch(config: AbinitConfig, dataset: AbinitDataset) -> Int[Tensor, " b"]:
    """Images of the passes before the last: a fixed random part of those that train, so that poses carry over.

    They come in the order of their numbers, as passes read them.
    """
    return dataset.order[: config.grow.images].sort().values


def find_cells(
    config: AbinitConfig,
    dataset: AbinitDataset,
    state: AbinitState,
    index: Int[Tensor, " n"],
    iteration: int | None = None,
    symmetry: Float[Tensor, "g 3 3"] | None = None,
) -> Candidates:
    """Coarse candidates of the images at ``index`` for every class.

    Between the points of a coarse grid a strong map fits badly and a weak one (of junk, say) does no harm: the classes
    would not compete fairly here. Those that stem from one consensus have the candidates of their mean in common; those
    that were searched together stand in frames of their own, and each has its own.
    """
    place = state.iteration if iteration is None else iteration
    generator = generator_for(config.seed + state.start, "cells of abinit", place)
    radius = coarse_radius(config, dataset, state)
    space = PoseSpace(config.shift_range * dataset.box, symmetry)
    search = GlobalSearch(config.search.angular_spacing, radius, space, shift_step(dataset, radius), config.grow.cells)
    together = searched_volumes(config) > 1
    volume = state.volume if together else state.volume.mean(0, keepdim=True)
    cells = search_all_poses(dataset.source, index, volume, state.noise_variance, search, generator)
    return cells if together else in_every_class(cells, len(state.volume))


def within_class(cells: Candidates, klass: Int[Tensor, " n"]) -> Candidates:
    """The candidates of each image in its own class."""
    return cells[cells.klass == klass[cells.image]]


def coarse_radius(config: AbinitConfig, dataset: AbinitDataset, state: AbinitState) -> float:
    """Fourier radius at which all poses are searched: what the coarse grid resolves, if the map goes that far."""
    return min(state.radius, resolvable_radius(config.search.angular_spacing, dataset.diameter_px, dataset.box))


def full_pass(
    config: AbinitConfig,
    dataset: AbinitDataset,
    state: AbinitState,
    index: Int[Tensor, " n"],
    cells: Candidates,
    symmetry: Float[Tensor, "g 3 3"] | None = None,
) -> tuple[VolumeStatistics, PoseEstimates, Maps]:
    """E-step on refined candidates at the state's radius, and the M-step."""
    band = band_within(dataset.box, state.radius, state.noise_variance)
    grid = band.grid
    levels = levels_for(
        state.radius,
        coarse_spacing(config.search.angular_spacing),
        shift_step(dataset, coarse_radius(config, dataset, state)),
        dataset.diameter_px,
        dataset.box,
        config.grow.candidates,
    )
    volume = resample(state.volume, grid.size)
    half = dataset.half_set[index].to(volume.device)
    refinement = Refinement(Descent(levels, PoseSpace(config.shift_range * dataset.box, symmetry)), half)
    sums = exact_sums(band, len(index), 2, len(volume), volume.device)
    estimates, terms = refine_poses(dataset.source, index, cells, volume, band, refinement, sums)
    statistics = symmetrised(volume_statistics(sums, terms, dataset.source.shards), symmetry, grid)
    return statistics, estimates, maximise(statistics, grid, state.radius, dataset.window(grid.size))


def after_pass(
    config: AbinitConfig, dataset: AbinitDataset, state: AbinitState, statistics: VolumeStatistics, maps: Maps
) -> AbinitState:
    """Take over the new maps and the noise spectrum they leave."""
    noise = state.noise_variance
    if not dataset.source.premultiplied:
        shells = half_disc(dataset.box, state.radius).to(noise.device).shells
        images, prior = statistics.images, config.grow.noise_prior
        noise = spectrum_of_residuals(noise, statistics.residual, shells, images, prior)
    return replace(state, volume=maps.volume, noise_variance=noise)


def class_fractions(statistics: VolumeStatistics) -> Float[Tensor, " k"]:
    """Shares of the classes in a pass."""
    return (statistics.class_mass / statistics.class_mass.sum()).float().cpu()


def dead_classes(config: AbinitConfig, fractions: Float[Tensor, " k"]) -> list[int]:
    """Classes that have lost nearly all particles."""
    least = config.classify.smallest / config.classes
    return [k for k, fraction in enumerate(fractions.tolist()) if fraction < least]


def rescued(config: AbinitConfig, state: AbinitState, fractions: Float[Tensor, " k"]) -> Float[Tensor, "k m m m"]:
    """Volumes in which every dead class is the largest one, disturbed at random by a tenth of its density."""
    volume = state.volume.clone()
    generator = generator_for(config.seed + state.start, "principal component", state.iteration)
    largest = int(fractions.argmax())
    for k in dead_classes(config, fractions):
        noise = torch.randn(8, 8, 8, generator=generator).to(volume)
        smooth = resample(noise, volume.shape[-1])
        volume[k] = volume[largest] * (1 + 0.1 * smooth / smooth.std())
    return volume


def _all_alive(config: AbinitConfig, state: AbinitState, fractions: Float[Tensor, " k"]) -> AbinitState:
    """The state with `rescued` volumes where a class died; its candidates mean nothing in the frame of the new one."""
    if not dead_classes(config, fractions):
        return state
    return replace(state, volume=rescued(config, state, fractions), cells=None)


def pass_metrics(
    dataset: AbinitDataset, radius: float, statistics: VolumeStatistics, estimates: PoseEstimates
) -> dict[str, Any]:
    """The line of a pass in ``metrics.jsonl``."""
    return {
        "resolution_A": dataset.extent / radius,
        "log_likelihood": float(statistics.log_evidence / statistics.images),
        "ess": float(estimates.effective.mean()),
        "class_fractions": (statistics.class_mass / statistics.class_mass.sum()).tolist(),
        "batch": int(statistics.images),
    }
