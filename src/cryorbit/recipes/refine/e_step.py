"""The E-step of a refinement: the images of each half-set under the map of that half-set."""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.fourier.half_disc import half_disc
from cryorbit.inference.band import band_within
from cryorbit.inference.exact_sums import ExactSums
from cryorbit.inference.half_set_sums import half_set_sums
from cryorbit.inference.local_search import Descent, Refinement, refine_poses
from cryorbit.inference.noise import spectrum_of_residuals
from cryorbit.inference.pose_estimates import PoseEstimates, joined_estimates
from cryorbit.inference.pruning import StagePruning
from cryorbit.inference.statistics import (
    ImageTerms,
    VolumeStatistics,
    no_terms,
    symmetrised,
)
from cryorbit.recipes.bounded_poses import pruning_metrics
from cryorbit.recipes.dataset import Dataset
from cryorbit.recipes.refine.config import RefineConfig
from cryorbit.recipes.refine.pose_candidates import PoseSearch, local_reach, pose_searches, pose_space
from cryorbit.recipes.refine.state import RefineState
from cryorbit.volumes.voxel import resample


@dataclass(frozen=True, slots=True)
class EStep:
    """What an E-step found.

    Attributes
    ----------
    statistics
        Of both half-sets.
    residual, images
        Residual power of each shell and number of images, for each half-set.
    index
        The images of each half-set that it looked at.
    estimates
        Their poses.
    searched
        Images of each half-set whose poses were all searched, instead of those around known ones.
    pruning
        What the stages of branch and bound kept in each half-set; nothing where it was not used.
    """

    statistics: VolumeStatistics
    residual: Float[Tensor, "2 r"]
    images: Float[Tensor, " 2"]
    index: tuple[Int[Tensor, " a"], Int[Tensor, " b"]]
    estimates: tuple[PoseEstimates, PoseEstimates]
    searched: tuple[int, int]
    pruning: tuple[tuple[StagePruning, ...], tuple[StagePruning, ...]] = ((), ())

    def by_particle(self) -> PoseEstimates:
        """The poses in the order of the particles, if it looked at all of them."""
        return joined_estimates(self.estimates)[torch.cat(self.index).argsort()]

    @property
    def log_likelihood(self) -> float:
        """Mean over the images, nats relative to pure noise."""
        return float(self.statistics.log_evidence / self.statistics.images)

    @property
    def elsewhere(self) -> float:
        """Mean posterior of an image beyond the reach of a local search around its best pose, from 0 to 1."""
        return float(torch.cat([each.elsewhere for each in self.estimates]).mean())

    def metrics(self, dataset: Dataset, radius: float) -> dict[str, Any]:
        """The line in ``metrics.jsonl``."""
        images = self.statistics.images
        return {
            "resolution_A": dataset.extent / radius,
            "log_likelihood": self.log_likelihood,
            "ess": float(torch.cat([e.effective for e in self.estimates]).mean()),
            "class_fractions": (self.statistics.class_mass / images).tolist(),
            "searched_everywhere": sum(self.searched) / int(images),
            "elsewhere": self.elsewhere,
            "batch": int(images),
            **pruning_metrics(self.pruning, dataset.extent),
        }


def e_step(
    config: RefineConfig,
    dataset: Dataset,
    state: RefineState,
    inserted: float,
    index: tuple[Int[Tensor, " a"], Int[Tensor, " b"]],
) -> EStep:
    """Poses and statistics of the images at ``index`` (of each half-set), inserted up to a radius of ``inserted``."""
    dataset = replace(dataset, source=replace(dataset.source, scale=state.scale))
    band = band_within(dataset.box, inserted, state.noise_variance[0])
    bands = [replace(band, noise_variance=variance) for variance in state.noise_variance]
    work = partial(_add_half_set, config, dataset, state, index)
    images = [len(each) for each in index]
    data, weight, halves = half_set_sums(dataset.source, bands, images, state.references.shape[1], work)
    (first, second), (searched, also), terms, (pruned, likewise) = zip(*halves, strict=True)
    statistics = symmetrised(VolumeStatistics.of(data, weight, terms[0] + terms[1]), dataset.operators, band.grid)
    residual, counts = (torch.stack([getattr(each, name) for each in terms]) for name in ("residual", "images"))
    return EStep(statistics, residual, counts, index, (first, second), (searched, also), (pruned, likewise))


def _add_half_set(
    config: RefineConfig,
    dataset: Dataset,
    state: RefineState,
    index: tuple[Int[Tensor, " a"], Int[Tensor, " b"]],
    half: int,
    into: ExactSums,
) -> tuple[PoseEstimates, int, ImageTerms, tuple[StagePruning, ...]]:
    """Poses of the images of a half-set, how many were searched everywhere, their terms, what was pruned."""
    images, band = index[half], into.band
    searches = pose_searches(config, dataset, state, half, images)
    parts = [_search(config, dataset, state, half, images[each.rows], each, into) for each in searches]
    # settled images were searched apart from the others: back in the order of their numbers
    order = torch.cat([each.rows for each in searches]).argsort()
    estimates = joined_estimates([poses for poses, _ in parts])[order]
    searched = sum(len(each.rows) for each in searches if each.everywhere)
    none = no_terms(band.noise_variance, state.references.shape[1])
    pruned = next((each.pruning for each in searches if each.pruning), ())
    return estimates, searched, reduce(operator.add, (each for _, each in parts), none), pruned


def _search(
    config: RefineConfig,
    dataset: Dataset,
    state: RefineState,
    half: int,
    index: Int[Tensor, " m"],
    search: PoseSearch,
    into: ExactSums,
) -> tuple[PoseEstimates, ImageTerms]:
    """Refine the poses of some images of a half-set and add their D and W to ``into``."""
    band = into.band
    alone = torch.zeros(len(index), dtype=torch.long, device=band.disc.shells.device)
    descent = Descent(search.levels, pose_space(config, dataset), local=not search.everywhere)
    refinement = Refinement(descent, alone, config.poses.assignment == "best", local_reach(dataset, state))
    # no name here for the volume, which is large: the pass forgets it once it has its transform
    return refine_poses(
        dataset.source, index, search.cells, resample(state.references[half], band.grid.size), band, refinement, into
    )


def half_set_rows(dataset: Dataset) -> tuple[Int[Tensor, " a"], Int[Tensor, " b"]]:
    """Particles of each half-set."""
    return torch.nonzero(dataset.half_set == 0)[:, 0], torch.nonzero(dataset.half_set == 1)[:, 0]


def updated_noise(
    estep: EStep, dataset: Dataset, state: RefineState, inserted: float, prior: float
) -> Float[Tensor, "2 s"]:
    """Noise spectra of the half-sets from what their references leave unexplained."""
    if dataset.source.premultiplied:
        return state.noise_variance
    shells = half_disc(dataset.box, inserted).to(state.references.device).shells
    halves = zip(state.noise_variance, estep.residual, estep.images, strict=True)
    return torch.stack([spectrum_of_residuals(*half[:2], shells, half[2], prior) for half in halves])
