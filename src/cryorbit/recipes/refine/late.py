"""Stage "late": mini-batches of reduced variance, after passes over all particles have settled.

An epoch looks at all images under one pair of references: how far the half-maps agree, and W of all images, which every
gradient of the epoch is divided by. Then an optimiser goes through the images once, mini-batch after mini-batch. One
that corrects a mini-batch by what all images said at its snapshot loses the noise of mini-batches as it settles:
"sem-vr-statistics" (Chen, Zhu, Teh & Zhang 2018) on D and W, with an M-step after each; "svrg" (Johnson & Zhang 2013)
along gradients. Of all images as one batch, at full rate, both are the M-step of a pass.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.seeds import generator_for
from cryorbit.fourier.interpolation import join_mates
from cryorbit.inference.constraints import windowed
from cryorbit.inference.gold_standard import HalfMaps
from cryorbit.inference.mstep import shell_weights
from cryorbit.optim.blocks import Blocks
from cryorbit.optim.units import Scaled, natural_scale
from cryorbit.recipes.dataset import Dataset
from cryorbit.recipes.refine.config import LateSettings, RefineConfig
from cryorbit.recipes.refine.e_step import EStep, e_step, half_set_rows
from cryorbit.recipes.refine.half_set_oracle import HalfSetOracle, PartOfAll, Preconditioner
from cryorbit.recipes.refine.masking import reference_mask
from cryorbit.recipes.refine.passes import joined, maximisation, resolved_by
from cryorbit.recipes.refine.radii import inserted_radius
from cryorbit.recipes.refine.state import Fallback, RefineState
from cryorbit.volumes.voxel import resample, working_grid

ROUNDING = 1e-6
"""Relative fall of the log-likelihood that is not taken for one: posteriors are thinned at random."""


@dataclass(frozen=True, slots=True)
class LateEpoch:
    """What an epoch begins with.

    Attributes
    ----------
    config, dataset, state
        Settings, particles, and the state with the references.
    estep
        E-step of all images under them.
    maps
        Its M-step.
    oracle
        The sum over all images, measured in their W.
    """

    config: RefineConfig
    dataset: Dataset
    state: RefineState
    estep: EStep
    maps: HalfMaps
    oracle: HalfSetOracle

    @classmethod
    def of(cls, config: RefineConfig, dataset: Dataset, state: RefineState) -> LateEpoch:
        """Look at all images once."""
        inserted = inserted_radius(state.radius, dataset.box)
        grid = working_grid(dataset.box, inserted)
        mask, images = reference_mask(config, dataset, state, grid.size), half_set_rows(dataset)
        estep = e_step(config, dataset, state, inserted, images)
        maps = maximisation(config, dataset, estep, inserted, mask)
        weight = torch.stack([join_mates(half) for half in estep.statistics.weight])
        curvature = PartOfAll(Preconditioner(weight, shell_weights(estep.statistics, grid, inserted)), estep.images)
        oracle = HalfSetOracle(config, dataset, state, images, inserted, maps.fsc, curvature, mask)
        return cls(config, dataset, state, estep, maps, oracle)

    def walked(self) -> Float[Tensor, "2 k m m m"]:
        """The references after the optimiser has gone through all mini-batches."""
        config, state = self.config, self.state
        method, generator = config.late.made(), generator_for(config.seed, "late mini-batches", state.iteration)
        volume = resample(state.references, self.oracle.grid.size)
        scale = natural_scale(method, self.oracle, volume)
        size = -(-self.oracle.num_terms // config.late.batches)
        blocks = Blocks(Scaled(self.oracle, scale), size, generator)
        order = torch.randperm(blocks.count, generator=generator).tolist()
        x, _ = method.step(blocks, scale * volume, method.init(blocks, scale * volume), order, generator)
        return windowed(joined(config, self.dataset, x / scale), self.oracle.mask)


def late_iteration(config: RefineConfig, dataset: Dataset, state: RefineState) -> tuple[RefineState, dict[str, Any]]:
    """An epoch; one after which the likelihood has fallen is taken back, and is the last."""
    epoch = LateEpoch.of(config, dataset, state)
    estep, resolved = epoch.estep, resolved_by(config, epoch.maps)
    metrics = {**estep.metrics(dataset, state.radius), "resolved_A": dataset.extent / resolved}
    value, before = estep.log_likelihood, state.fallback
    if before is not None and value < before.log_likelihood - ROUNDING * abs(value):
        back = replace(state, stage="final", references=before.references, fallback=None)
        return back, {**metrics, "taken_back": 1}
    last = state.iteration + 1 >= config.late.epochs
    new = replace(
        state,
        stage="final" if last else "late",
        iteration=state.iteration + 1,
        references=epoch.walked(),
        resolved=max(resolved, state.resolved),
        estimates=estep.by_particle(),
        posed_radius=state.radius,
        history=(*state.history, resolved),
        fallback=None if last else Fallback(value, epoch.maps.references),
    )
    return new, metrics


def late_sums(settings: LateSettings) -> int:
    """Sums over images that are alive at once: of each mini-batch, of all, and three that they are made into."""
    return settings.batches + 4
