"""Stages "judge" and "finish": compare the starts, assign every particle."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.inference.band import band_within
from cryorbit.inference.candidates import Candidates, in_every_class
from cryorbit.inference.pose_estimates import PoseEstimates
from cryorbit.inference.pruning import StagePruning
from cryorbit.recipes.abinit.config import AbinitConfig
from cryorbit.recipes.abinit.passes import find_cells, full_pass, largest_radius, pass_metrics
from cryorbit.recipes.abinit.prepare import AbinitDataset
from cryorbit.recipes.abinit.search_stage import begin, last_search_radius
from cryorbit.recipes.abinit.state import AbinitState, StartOutcome
from cryorbit.recipes.bounded_poses import BoundedSearch, bounded_poses, pruning_metrics
from cryorbit.volumes.voxel import resample

JUDGE_ITERATION = 900
"""Names the random stream of the searches for held-out particles, as the iteration does in a growth."""
FINISH_ITERATION = 1000
"""Names that of the search for all particles, behind those of the trial of a symmetry."""


def judging_radius(config: AbinitConfig, dataset: AbinitDataset) -> float:
    """Fourier radius at which all starts are compared, whatever radius they have reached."""
    return min(largest_radius(config, dataset), 1.5 * last_search_radius(config, dataset))


def held_out_likelihood(config: AbinitConfig, dataset: AbinitDataset, state: AbinitState) -> float:
    """Mean log-likelihood, nats relative to pure noise, of particles no start has seen; NaN if there are none."""
    return float(held_out_evidence(config, dataset, state).mean()) if len(dataset.held_out) else float("nan")


def held_out_evidence(
    config: AbinitConfig, dataset: AbinitDataset, state: AbinitState, symmetry: Float[Tensor, "g 3 3"] | None = None
) -> Float[Tensor, " v"]:
    """Log-likelihood of each held-out particle, nats relative to pure noise, from a search over all poses."""
    cells = find_cells(config, dataset, state, dataset.held_out, JUDGE_ITERATION, symmetry)
    _, estimates, _ = full_pass(config, dataset, state, dataset.held_out, cells, symmetry)
    return estimates.log_evidence


def judge(config: AbinitConfig, dataset: AbinitDataset, state: AbinitState) -> tuple[AbinitState, dict[str, Any]]:
    """Close a start with its held-out likelihood; go on to the next start, or to the best of all."""
    outcome, metrics = after_start(config, dataset, state)
    return closed(config, dataset, state, (*state.outcomes, outcome)), metrics


def after_start(
    config: AbinitConfig, dataset: AbinitDataset, state: AbinitState
) -> tuple[StartOutcome, dict[str, Any]]:
    """What a start has come to, and the metrics of that."""
    radius = judging_radius(config, dataset)
    likelihood = held_out_likelihood(config, dataset, replace(state, radius=radius))
    even = torch.ones(len(state.volume)) / len(state.volume)
    fractions = even if state.class_fractions is None else state.class_fractions
    outcome = StartOutcome(config.seed + state.start, state.volume, state.radius, likelihood, fractions)
    return outcome, {"resolution_A": dataset.extent / radius, "held_out_log_likelihood": likelihood}


def shortcut(config: AbinitConfig, dataset: AbinitDataset, state: AbinitState) -> AbinitState:
    """The state after the starts that are over, or, if none is, after the present one as far as it has come.

    Raises
    ------
    InputError
        No start has come to the classes that are asked for.
    """
    if state.stage in {"symmetrise", "finish"}:
        return state
    outcomes = state.outcomes or (after_start(config, dataset, judged_now(config, state))[0],)
    return closed(config.model_copy(update={"seeds": len(outcomes)}), dataset, state, outcomes)


def judged_now(config: AbinitConfig, state: AbinitState) -> AbinitState:
    """The state of a start at its end, as far as it has come; ``InputError`` if it has not come to its classes."""
    if len(state.volume) < config.classes:
        raise InputError("the particles are not split into classes yet", fix="resume without --finish-now")
    return replace(state, stage="judge", iteration=0)


def closed(
    config: AbinitConfig, dataset: AbinitDataset, state: AbinitState, outcomes: tuple[StartOutcome, ...]
) -> AbinitState:
    """The state after a start: at the beginning of the next one, or with the best of all."""
    if len(outcomes) < config.seeds:
        return begin(config, dataset, state.start + 1, outcomes)
    best = max(outcomes, key=lambda o: o.held_out) if len(outcomes) > 1 else outcomes[0]
    return replace(
        state,
        start=best.seed - config.seed,
        stage="symmetrise",
        iteration=0,
        volume=best.volume,
        radius=best.radius,
        cells=None,
        estimates=None,
        outcomes=outcomes,
    )


def finish_iteration(
    config: AbinitConfig, dataset: AbinitDataset, state: AbinitState
) -> tuple[AbinitState, dict[str, Any]]:
    """Poses, classes and posteriors of all particles, from a search over all poses."""
    everything = torch.arange(len(dataset.source))
    group = imposed_operators(dataset, state)
    cells = state.cells
    pruned: tuple[StagePruning, ...] = ()
    if cells is None:
        cells, pruned = _last_cells(config, dataset, state, everything)
    statistics, estimates, maps = full_pass(config, dataset, state, everything, cells, group)
    # a batch that was all of them has already brought the one map here; otherwise the maps have just become better
    over = state.iteration == 1 or (config.classes == 1 and len(dataset.order) <= config.grow.images)
    new = replace(
        state,
        stage="done" if over else "finish",
        iteration=state.iteration + 1,
        volume=maps.volume,
        radius=state.radius if state.consensus_radius is None else state.consensus_radius,
        cells=None if over else within_class(cells, estimates),
        estimates=estimates,
    )
    metrics = pass_metrics(dataset, state.radius, statistics, estimates)
    return new, metrics | pruning_metrics([pruned], dataset.extent)


def _last_cells(
    config: AbinitConfig, dataset: AbinitDataset, state: AbinitState, index: Int[Tensor, " n"]
) -> tuple[Candidates, tuple[StagePruning, ...]]:
    """Candidates of the images at ``index``, and what the stages of branch and bound kept, if it found them.

    Either way they are found under the mean of the classes, whose orientations agree (``passes.find_cells``).
    """
    if config.finish.search == "grid":
        group = imposed_operators(dataset, state)
        return find_cells(config, dataset, state, index, FINISH_ITERATION, group), ()
    band = band_within(dataset.box, state.radius, state.noise_variance)
    search = BoundedSearch(config.finish.bound, config.search.angular_spacing, config.shift_range)
    mean = resample(state.volume.mean(0, keepdim=True), band.grid.size)
    found = bounded_poses(dataset, index, mean, band, search)
    first = torch.zeros_like(found.best.klass)
    image = torch.arange(len(index), device=first.device)
    one = Candidates(image, first, found.best.rotation, found.best.shift)
    return in_every_class(one, len(state.volume)), found.stages


def imposed_operators(dataset: AbinitDataset, state: AbinitState) -> Float[Tensor, "g 3 3"] | None:
    """Operators of the point group, or None where there is only the identity or the images refused the symmetry."""
    return dataset.operators if state.trial is None or state.trial.imposed else None


def within_class(cells: Candidates, estimates: PoseEstimates) -> Candidates:
    """The candidates of each particle in its own class: the last pass refines poses, classes are decided."""
    return cells[cells.klass == estimates.klass[cells.image]]
