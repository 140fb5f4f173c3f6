"""Stages "split" and "sort": one consensus becomes K classes.

Independent random starts of several classes, drawn apart by mini-batches, drown a small difference in noise. So all
particles first agree on a consensus and its poses; its principal components of variation then tell the classes apart,
and full passes with all classes settle poses and memberships together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from cryorbit.core.data import Poses
from cryorbit.core.seeds import generator_for
from cryorbit.inference.band import band_within
from cryorbit.inference.candidates import in_every_class
from cryorbit.inference.mstep import maximise
from cryorbit.inference.reconstruction import KnownPoses, reconstruct
from cryorbit.inference.split import PosedImages, cluster, principal_components
from cryorbit.recipes.abinit.config import AbinitConfig
from cryorbit.recipes.abinit.finish_stage import held_out_likelihood
from cryorbit.recipes.abinit.passes import (
    after_pass,
    class_fractions,
    find_cells,
    full_pass,
    growth_batch,
    pass_metrics,
    rescued,
)
from cryorbit.recipes.abinit.prepare import AbinitDataset
from cryorbit.recipes.abinit.search_schedule import first_radius
from cryorbit.recipes.abinit.state import AbinitState
from cryorbit.volumes.voxel import resample


def split(config: AbinitConfig, dataset: AbinitDataset, state: AbinitState) -> tuple[AbinitState, dict[str, Any]]:
    """Class volumes from the principal components, the best of several splits by held-out likelihood.

    Splits differ by the number of components that are looked at: K - 1 are what K classes span, one more leaves room
    for a nuisance such as pose errors or junk.
    """
    batch = growth_batch(config, dataset)
    trials = []
    for number in range(config.classify.splits):
        trial = _split_volumes(config, dataset, state, batch, number)
        trials.append((held_out_likelihood(config, dataset, trial), trial))
    likelihoods = [likelihood for likelihood, _ in trials]
    chosen = max(range(len(trials)), key=lambda i: likelihoods[i]) if len(dataset.held_out) else 0
    best = trials[chosen][1]
    metrics = {
        "resolution_A": dataset.extent / best.radius,
        "held_out_log_likelihood": likelihoods[chosen],
        "batch": len(batch),
    }
    cells = None if state.cells is None else in_every_class(state.cells, config.classes)
    return replace(best, stage="sort", iteration=0, cells=cells, consensus_radius=state.radius), metrics


def sort_iteration(
    config: AbinitConfig, dataset: AbinitDataset, state: AbinitState
) -> tuple[AbinitState, dict[str, Any]]:
    """One pass over the batch with all classes; classes that died are started anew from the largest one.

    The radius stays that of the split. A particle is part of the map it is scored against, and the likelihood it owes
    to its own noise grows with the cube of the radius: further out it would stay in whatever class it came to first.
    """
    batch = growth_batch(config, dataset)
    cells = find_cells(config, dataset, state, batch) if state.cells is None else state.cells
    statistics, estimates, maps = full_pass(config, dataset, state, batch, cells)
    new = after_pass(config, dataset, replace(state, cells=cells), statistics, maps)
    fractions = class_fractions(statistics)
    over = state.iteration + 1 == config.classify.iterations
    # a class that is started anew needs a pass to become a map
    if not over:
        new = replace(new, volume=rescued(config, new, fractions))
    new = replace(
        new,
        stage="judge" if over else "sort",
        iteration=0 if over else state.iteration + 1,
        class_fractions=fractions,
    )
    return new, pass_metrics(dataset, state.radius, statistics, estimates)


def _split_volumes(
    config: AbinitConfig, dataset: AbinitDataset, state: AbinitState, batch: Int[Tensor, " b"], number: int
) -> AbinitState:
    """One way to split: components, clusters, and a reconstruction of each cluster."""
    generator = generator_for(config.seed + state.start, "class split", number)
    assert state.estimates is not None
    poses = Poses(state.estimates.rotation, state.estimates.shift)
    radius = max(first_radius(config, dataset), config.classify.split_radius * state.radius)
    band = band_within(dataset.box, radius, state.noise_variance)
    grid, window = band.grid, dataset.window(band.grid.size)
    consensus = grid.model(resample(state.volume, grid.size))
    images = PosedImages(dataset.source, batch, poses, consensus, band)
    count, iterations = config.classes - 1 + number, config.classify.principal_iterations
    components = principal_components(images, window, count, iterations, generator)
    label = cluster(components.coordinate, config.classes, generator)
    half = dataset.half_set[batch].to(label.device)
    known = KnownPoses(poses, label, half, torch.ones(len(batch), device=label.device))
    statistics = reconstruct(dataset.source, batch, known, band, config.classes)
    volume = maximise(statistics, grid, radius, window).volume
    return replace(state, volume=volume, radius=radius)
