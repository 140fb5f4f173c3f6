"""Stages "pass" and "final": every half-set is aligned to its own map, and the two maps tell what is known.

A pass that inserts images as far out as the final maps go needs no last pass after it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.memory import give_back_free
from cryorbit.inference.constraints import without_corners
from cryorbit.inference.gold_standard import HalfMaps, gold_standard_maps, with_low_shells
from cryorbit.inference.mstep import resolved_radius
from cryorbit.inference.relaxation import Scored, relaxed
from cryorbit.recipes.dataset import Dataset
from cryorbit.recipes.pass_curves import half_map_curves
from cryorbit.recipes.refine.config import RefineConfig
from cryorbit.recipes.refine.e_step import EStep, e_step, half_set_rows, updated_noise
from cryorbit.recipes.refine.masking import reference_mask
from cryorbit.recipes.refine.radii import final_radius, inserted_radius, largest_radius
from cryorbit.recipes.refine.scales import updated_scales
from cryorbit.recipes.refine.settling import best_likelihood, class_changes, settled, stands_still, widened
from cryorbit.recipes.refine.state import FinalMaps, RefineState
from cryorbit.volumes.voxel import working_grid


def pass_iteration(config: RefineConfig, dataset: Dataset, state: RefineState) -> tuple[RefineState, dict[str, Any]]:
    """One pass over all particles, the new references, and the radius that they allow."""
    inserted = inserted_radius(state.radius, dataset.box)
    mask = reference_mask(config, dataset, state, working_grid(dataset.box, inserted).size)
    give_back_free()
    estep = e_step(config, dataset, state, inserted, half_set_rows(dataset))
    maps = maximisation(config, dataset, estep, inserted, mask)
    resolved = resolved_by(config, maps)
    settings = config.passes
    likelihood = estep.log_likelihood
    new_radius = widened(state.posed_radius, state.radius)
    stalled = state.stalled + 1 if stands_still(config, state, resolved, likelihood, at_new_radius=new_radius) else 0
    now, last = Scored(state.radius, likelihood), Scored(state.posed_radius, state.best_likelihood)
    estimates = estep.by_particle()
    over = settled(config, state, estimates, stalled)
    stage = "pass"
    if over or state.iteration + 1 >= settings.iterations:
        stage = "final" if config.late.method is None else "late"
    new = replace(
        state,
        stage=stage,
        iteration=state.iteration + 1 if stage != "late" else 0,
        references=relaxed(state.references, maps.references, settings.relaxation, now, last),
        noise_variance=updated_noise(estep, dataset, state, inserted, settings.noise_prior),
        radius=next_radius(config, dataset, state, resolved),
        resolved=max(resolved, state.resolved),
        stalled=stalled,
        estimates=estimates,
        posed_radius=state.radius,
        scale=updated_scales(dataset, state.scale, estimates),
        history=(*state.history, resolved),
        best_likelihood=best_likelihood(config, state, likelihood),
    )
    metrics = {**estep.metrics(dataset, state.radius), "resolved_A": dataset.extent / resolved}
    metrics |= half_map_curves(dataset.extent, maps.fsc) | class_changes(config, state.estimates, estimates)
    # the sums are the largest arrays there are, and have told all they know
    del estep
    if stage == "final" and inserted >= final_radius(config, dataset.box, dataset.source.pixel_size):
        new = ended(new, maps)
    return new, metrics


def final_iteration(config: RefineConfig, dataset: Dataset, state: RefineState) -> tuple[RefineState, dict[str, Any]]:
    """A last pass, which inserts every image as far out as the final maps go."""
    inserted = final_radius(config, dataset.box, dataset.source.pixel_size)
    mask = reference_mask(config, dataset, state, working_grid(dataset.box, inserted).size)
    give_back_free()
    estep = e_step(config, dataset, state, inserted, half_set_rows(dataset))
    maps = maximisation(config, dataset, estep, inserted, mask)
    resolved = resolved_by(config, maps)
    new = replace(
        state,
        noise_variance=updated_noise(estep, dataset, state, inserted, config.passes.noise_prior),
        estimates=estep.by_particle(),
        history=(*state.history, resolved),
    )
    metrics = {**estep.metrics(dataset, state.radius), "resolved_A": dataset.extent / resolved}
    metrics |= half_map_curves(dataset.extent, maps.fsc) | class_changes(config, state.estimates, new.estimates)
    del estep
    return ended(new, maps), metrics


def ended(state: RefineState, maps: HalfMaps) -> RefineState:
    """The state that the job is written from."""
    halves = torch.stack([without_corners(half) for half in maps.halves])
    return replace(state, stage="done", references=maps.references, final=FinalMaps(halves, maps.volume))


def maximisation(
    config: RefineConfig, dataset: Dataset, estep: EStep, inserted: float, mask: Float[Tensor, "m m m"]
) -> HalfMaps:
    """The maps of the half-sets from their statistics; references are zero outside the mask.

    The mask follows from the maps of the pass before, and an outline takes memory to find: it is made before the sums.
    """
    give_back_free()
    grid = working_grid(dataset.box, inserted)
    join = dataset.extent / config.passes.join_resolution
    return gold_standard_maps(estep.statistics, grid, inserted, join, dataset.window(grid.size), mask)


def joined(config: RefineConfig, dataset: Dataset, halves: Float[Tensor, "2 k m m m"]) -> Float[Tensor, "2 k m m m"]:
    """The half-sets' volumes with their mean in the shells that they share."""
    radius, mean = dataset.extent / config.passes.join_resolution, halves.mean(0)
    return torch.stack([with_low_shells(half, mean, radius) for half in halves])


def resolved_by(config: RefineConfig, maps: HalfMaps) -> float:
    """Radius to which the half maps of the best class agree."""
    return float(max(resolved_radius(fsc, config.passes.threshold) for fsc in maps.fsc))


def next_radius(config: RefineConfig, dataset: Dataset, state: RefineState, resolved: float) -> float:
    """Radius of the next scores: a margin beyond what is resolved; it never shrinks, nor grows by leaps.

    Half-maps of a shell agree far beyond what poses could yet be told by, and at a radius that is new to them they
    settle slowly.
    """
    margin = max(config.passes.margin, config.passes.relative_margin * resolved)
    largest = largest_radius(config, dataset.box, dataset.source.pixel_size)
    return min(largest, config.passes.growth * state.radius, max(state.radius, resolved + margin))
