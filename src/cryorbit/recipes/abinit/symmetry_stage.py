"""Stage "symmetrise": the symmetry that was asked for is found in the map, tried on held-out particles, and imposed.

Two witnesses. Held-out particles fit the symmetric map better, or worse, than the C1 map; where that is no more than
chance, the structure of the C1 map decides: whether it agrees with its copies once the average over each sphere is
taken out, as it does only where the symmetry is there. Averages of noise over a large group explain a shell well.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.imaging.masks import soft_ball
from cryorbit.inference.constraints import windowed
from cryorbit.inference.symmetry import average_over_group, find_axes, turned_to_axes
from cryorbit.recipes.abinit.config import AbinitConfig
from cryorbit.recipes.abinit.finish_stage import held_out_evidence, judging_radius
from cryorbit.recipes.abinit.passes import find_cells, full_pass, growth_batch
from cryorbit.recipes.abinit.prepare import AbinitDataset
from cryorbit.recipes.abinit.state import AbinitState
from cryorbit.recipes.abinit.symmetry_trial import SymmetryTrial
from cryorbit.volumes.voxel import resample

STANDARD_ERRORS = 2.0
"""By how many standard errors of the difference held-out particles must fit better, or worse, to decide alone."""
LEAST_STRUCTURE = 0.1
"""Agreement of the C1 map's structure with its copies, from which on it has the symmetry. Noisy maps of symmetric
particles show 0.2 and more, maps under the axes of another group 0.02."""
PASSES = 3
"""Passes that the symmetric maps get before they are judged, as the C1 maps had theirs."""
TRIAL_ITERATION = 901
"""Names the random streams of these passes, behind that of judging."""
EDGE = 2.0
"""Voxels over which maps are faded out around the particle where they are compared."""


def symmetrise(config: AbinitConfig, dataset: AbinitDataset, state: AbinitState) -> tuple[AbinitState, dict[str, Any]]:
    """Centre each map, turn it to its axes and average it over the group; C1 passes through.

    The symmetric maps are taken unless particles that no start has seen fit them worse than the C1 maps, or fit both
    alike while the C1 maps do not show the symmetry.
    """
    if len(dataset.symmetry) == 1:
        return replace(state, stage="finish"), {}
    size = state.volume.shape[-1]
    radius, window = dataset.particle_radius(size), dataset.window(size)
    group = dataset.symmetry.to(state.volume)
    axes = [find_axes(volume, group, radius) for volume in state.volume]
    pairs = list(zip(state.volume, axes, strict=True))
    symmetric = windowed(torch.stack([average_over_group(volume, each, group) for volume, each in pairs]), window)
    c1_maps = windowed(torch.stack([turned_to_axes(volume, each) for volume, each in pairs]), window)
    improved = _after_passes(config, dataset, replace(state, volume=symmetric))
    fits = _held_out_fits(config, dataset, state, (improved, c1_maps))
    trial = SymmetryTrial(
        group=config.symmetry,
        imposed=fits is None or symmetry_is_shown(fits[0] - fits[1], max(each.structure_score for each in axes)),
        scores=[each.score for each in axes],
        structure_scores=[each.structure_score for each in axes],
        offsets_A=[float(each.centre.norm()) * dataset.extent / size for each in axes],
        held_out=None if fits is None else float(fits[0].mean()),
        held_out_c1=None if fits is None else float(fits[1].mean()),
    )
    metrics = {"symmetry_score": max(trial.scores)}
    if not trial.imposed:
        return replace(state, stage="finish", trial=trial), metrics
    return replace(state, stage="finish", volume=improved, trial=trial, c1_maps=c1_maps), metrics


def _after_passes(config: AbinitConfig, dataset: AbinitDataset, state: AbinitState) -> Float[Tensor, "k m m m"]:
    """The symmetric maps made anew from the images of the growth: the C1 maps, too, stem from poses of their own."""
    batch, group = growth_batch(config, dataset), dataset.operators
    new = replace(state, radius=judging_radius(config, dataset))
    for number in range(PASSES):
        cells = find_cells(config, dataset, new, batch, TRIAL_ITERATION + number, group)
        _, _, maps = full_pass(config, dataset, new, batch, cells, group)
        new = replace(new, volume=maps.volume)
    return resample(new.volume, state.volume.shape[-1])


def _held_out_fits(
    config: AbinitConfig, dataset: AbinitDataset, state: AbinitState, volumes: tuple[Float[Tensor, "k m m m"], ...]
) -> tuple[Float[Tensor, " v"], Float[Tensor, " v"]] | None:
    """Log-likelihood of each held-out particle under the symmetric and the C1 maps, nats; None without any.

    Both are seen within the particle only: a C1 map may hold pieces of neighbours, which explain those in the images.
    Copies of a pose crowd each other out of the candidates that a search of the C1 map keeps, unless it may keep as
    many more.
    """
    if not len(dataset.held_out):
        return None
    size = state.volume.shape[-1]
    inside = soft_ball(size, 0.5 * dataset.diameter_px * size / dataset.box, EDGE).to(state.volume)
    symmetric, c1 = (
        replace(state, radius=judging_radius(config, dataset), volume=windowed(volume, inside)) for volume in volumes
    )
    cells = config.grow.cells * len(dataset.symmetry)
    roomy = config.model_copy(update={"grow": config.grow.model_copy(update={"cells": cells})})
    fit = held_out_evidence(config, dataset, symmetric, dataset.operators)
    return fit.double(), held_out_evidence(roomy, dataset, c1).double()


def symmetry_is_shown(gain: Float[Tensor, " v"], structure_score: float) -> bool:
    """Whether held-out particles ask for the symmetry or, where they do not decide, the structure of the map shows it.

    Parameters
    ----------
    gain
        By how much each held-out particle fits the symmetric map better than the C1 map, nats.
    structure_score
        Of the class that agrees best with its copies.
    """
    # the deviation of a single particle is zero, not undefined
    error = float(gain.std(correction=0)) / len(gain) ** 0.5
    if abs(float(gain.mean())) > STANDARD_ERRORS * error:
        return float(gain.mean()) > 0
    return structure_score >= LEAST_STRUCTURE
