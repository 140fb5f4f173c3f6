"""Stage "late": mini-batches of reduced variance, after passes over all particles have settled.

An epoch looks at all images under one pair of references, the snapshot, and then at every mini-batch twice: under the
references as they are by then, and under the snapshot. What a mini-batch says of the difference corrects what all
images said, so that its noise vanishes as the two approach each other. Both ways work on the statistics D and W:

- "sem-vr" (Chen, Zhu, Teh & Zhang 2018) averages the corrected statistics; every step ends with the M-step of a pass.
- "svrg" (Johnson & Zhang 2013) goes along the corrected gradient ``D - W V - V / tau^2`` over ``W + 1 / tau^2`` of all
  images; of all images at a rate of one, that is the M-step too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.seeds import generator_for
from cryorbit.fourier.interpolation import join_mates
from cryorbit.inference.constraints import windowed
from cryorbit.inference.gold_standard import HalfMaps
from cryorbit.inference.mstep import shell_weights
from cryorbit.inference.preconditioned import data_gradient, half_prior, preconditioned_step
from cryorbit.inference.statistics import VolumeStatistics
from cryorbit.recipes.particle_input import ParticleInput
from cryorbit.recipes.refine.config import RefineConfig
from cryorbit.recipes.refine.expectation import Expectation, expectation, half_sets
from cryorbit.recipes.refine.masking import reference_mask
from cryorbit.recipes.refine.passes import joined, maximisation, resolved_by
from cryorbit.recipes.refine.radii import inserted_radius
from cryorbit.recipes.refine.state import State
from cryorbit.volumes.voxel import VoxelGrid, resample, working_grid

LATE_SUMS = 5
"""Sums over images that are alive at once: of the snapshot, two of a mini-batch, their correction, and the average."""
KEPT_WEIGHT = 1e-3
"""Least part of the snapshot's weights that averaged statistics are mended to."""
ROUNDING = 1e-6
"""Relative fall of the log-likelihood that is not taken for one: posteriors are thinned at random."""

Halves = tuple[Int[Tensor, " a"], Int[Tensor, " b"]]


@dataclass(frozen=True, slots=True)
class Epoch:
    """What the steps of an epoch share.

    Attributes
    ----------
    config, given
        Settings and images.
    state
        With the references of the snapshot.
    inserted, grid
        Fourier radius to which images are inserted, and its working box.
    snapshot
        E-step of all images.
    mask
        Outside of which references are zero.
    maps
        Its M-step.
    """

    config: RefineConfig
    given: ParticleInput
    state: State
    inserted: float
    grid: VoxelGrid
    snapshot: Expectation
    mask: Float[Tensor, "m m m"]
    maps: HalfMaps

    @classmethod
    def of(cls, config: RefineConfig, given: ParticleInput, state: State) -> Epoch:
        """Take the snapshot: one pass over all images."""
        inserted = inserted_radius(state.radius, given.box)
        grid = working_grid(given.box, inserted)
        mask = reference_mask(config, given, state, grid.size)
        found = expectation(config, given, state, inserted, half_sets(given))
        return cls(
            config, given, state, inserted, grid, found, mask, maximisation(config, given, found, inserted, mask)
        )

    def statistics(self, references: Float[Tensor, "2 k m m m"], images: Halves) -> VolumeStatistics:
        """Statistics of some images under some references."""
        state = replace(self.state, references=references)
        return expectation(self.config, self.given, state, self.inserted, images).statistics

    def both(self, references: Float[Tensor, "2 k m m m"], images: Halves) -> tuple[VolumeStatistics, VolumeStatistics]:
        """Statistics of some images under some references, and under those of the snapshot."""
        return self.statistics(references, images), self.statistics(self.state.references, images)


def late_iteration(config: RefineConfig, given: ParticleInput, state: State) -> tuple[State, dict[str, Any]]:
    """An epoch; one after which the likelihood has fallen is taken back, and is the last."""
    epoch = Epoch.of(config, given, state)
    found, resolved = epoch.snapshot, resolved_by(config, epoch.maps)
    metrics = {**found.metrics(given, state.radius), "resolved_A": given.extent / resolved}
    extra = dict(state.extra)
    value, before = metrics["log_likelihood"], extra.pop("late", None)
    if before is not None and value < before["log_likelihood"] - ROUNDING * abs(value):
        return replace(state, stage="final", references=before["references"], extra=extra), {**metrics, "taken_back": 1}
    last = state.iteration + 1 >= config.late.epochs
    if not last:
        extra["late"] = {"log_likelihood": value, "references": epoch.maps.references}
    new = replace(
        state,
        stage="final" if last else "late",
        iteration=state.iteration + 1,
        references=WALKS[config.late.method](epoch),
        resolved=max(resolved, state.resolved),
        estimates=found.by_particle(),
        posed_radius=state.radius,
        history=(*state.history, resolved),
        extra=extra,
    )
    return new, metrics


def average_statistics(epoch: Epoch) -> Float[Tensor, "2 k m m m"]:
    """References after the steps of sEM-vr."""
    whole, references = epoch.snapshot.statistics, epoch.state.references
    total = replace(whole, data=whole.data.clone(), weight=whole.weight.clone())
    for images in mini_batches(epoch):
        fresh = corrected(epoch, references, images)
        total.data.lerp_(whole.data + fresh.data, epoch.config.late.rate)
        total.weight.lerp_(whole.weight + fresh.weight, epoch.config.late.rate)
        admissible = replace(total, weight=torch.maximum(total.weight, KEPT_WEIGHT * whole.weight))
        found = replace(epoch.snapshot, statistics=admissible)
        references = maximisation(epoch.config, epoch.given, found, epoch.inserted, epoch.mask).references
    return references


def follow_gradients(epoch: Epoch) -> Float[Tensor, "2 k m m m"]:
    """References after the steps of SVRG."""
    whole, grid = epoch.snapshot.statistics, epoch.grid
    weights = shell_weights(whole, grid, epoch.inserted)
    priors = [half_prior(weights, half, epoch.maps.fsc) for half in range(2)]
    curvatures = [join_mates(own) for own in whole.weight]
    before = references = resample(epoch.state.references, grid.size)
    known = [data_gradient(whole, half, before[half], grid) for half in range(2)]
    for images in mini_batches(epoch):
        here, there = epoch.both(references, images)
        shares, steps = _shares(epoch, images).to(here.weight), []
        for h, volume in enumerate(references):
            change = data_gradient(here, h, volume, grid) - data_gradient(there, h, before[h], grid)
            gradient = known[h] + change * shares[h]
            steps.append(preconditioned_step(gradient, volume, priors[h], curvatures[h], grid))
        moved = references + epoch.config.late.rate * torch.stack(steps)
        references = windowed(joined(epoch.config, epoch.given, moved), epoch.mask)
    return references


WALKS: dict[str, Callable[[Epoch], Float[Tensor, "2 k m m m"]]] = {
    "sem-vr": average_statistics,
    "svrg": follow_gradients,
}


def mini_batches(epoch: Epoch) -> Iterator[Halves]:
    """All images of both half-sets, shuffled, a part at a time, each sorted as it is stored."""
    seed, count = epoch.config.seed, epoch.config.late.batches
    shuffled = []
    for half, images in enumerate(half_sets(epoch.given)):
        generator = generator_for(seed, "late mini-batches", epoch.state.iteration, half)
        order = torch.randperm(len(images), generator=generator)
        shuffled.append([part.sort().values for part in images[order].tensor_split(count)])
    yield from zip(*shuffled, strict=True)


def corrected(epoch: Epoch, references: Float[Tensor, "2 k m m m"], images: Halves) -> VolumeStatistics:
    """What the statistics of all images change by from the snapshot to other references, judged by some images."""
    here, there = epoch.both(references, images)
    shares = _shares(epoch, images).to(here.weight)
    return replace(here, data=(here.data - there.data) * shares, weight=(here.weight - there.weight) * shares)


def _shares(epoch: Epoch, images: Halves) -> Float[Tensor, "2 1 1 1 1"]:
    """Images of each half-set over those in a mini-batch of it."""
    ratios = [len(whole) / len(part) for whole, part in zip(half_sets(epoch.given), images, strict=True)]
    return torch.tensor(ratios).view(2, 1, 1, 1, 1)
