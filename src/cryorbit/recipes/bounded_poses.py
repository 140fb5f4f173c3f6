"""Best poses by branch and bound, as ``refine`` and ``abinit`` search them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.inference.band import Band
from cryorbit.inference.branch_and_bound import BestPoses, BranchPlan, branch_and_bound
from cryorbit.inference.first_radius import mean_weight, pruning_radius
from cryorbit.inference.pose_levels import finest_spacing
from cryorbit.inference.pruning import StagePruning, pruning_of
from cryorbit.recipes.bound_settings import BranchSettings
from cryorbit.recipes.dataset import Dataset

LOGGER = logging.getLogger(__name__)
FINEST_SHIFT = 0.1
"""Finest step of the shifts over box / radius, pixels: a third of a radian between outermost coefficients."""


@dataclass(frozen=True, slots=True)
class BoundedSearch:
    """A search by branch and bound.

    Attributes
    ----------
    settings
        Of branch and bound.
    spacing
        Angular spacing of the first grid unless they say otherwise, degrees.
    shift_range
        Largest shift, as a fraction of the box.
    """

    settings: BranchSettings
    spacing: float
    shift_range: float


@dataclass(frozen=True, slots=True)
class BoundedPoses:
    """The best pose of each image, and what each stage of the search kept."""

    best: BestPoses
    stages: tuple[StagePruning, ...]


def bounded_poses(
    dataset: Dataset, index: Int[Tensor, " n"], volume: Float[Tensor, "k m m m"], band: Band, search: BoundedSearch
) -> BoundedPoses:
    """Best poses of the particles at ``index`` under working volumes of the band."""
    plan = branch_plan(dataset, index, volume, band, search)
    best = branch_and_bound(dataset.source, index, volume, band, plan)
    stages = pruning_of(best, plan, band.radius)
    for number, stage in enumerate(stages, start=1):
        LOGGER.info(
            "branch and bound, stage %d at radius %.1f: %.0f poses an image, %.3f kept by the bound, %.3f after the "
            "caps, which %.2f of the images met",
            number,
            stage.radius,
            stage.scored,
            stage.kept_by_bound,
            stage.kept_by_caps,
            stage.capped,
        )
    return BoundedPoses(best, stages)


def branch_plan(
    dataset: Dataset, index: Int[Tensor, " n"], volume: Float[Tensor, "k m m m"], band: Band, search: BoundedSearch
) -> BranchPlan:
    """The plan of a search: what its settings leave open follows from the map, the images and the band."""
    settings, radius = search.settings, search.settings.first_radius
    if radius is None:
        weight = mean_weight(dataset.source, index, band)
        radius = pruning_radius(band.grid.model(volume), band.disc, weight, settings.bound)
    radius = min(radius, band.radius)
    return BranchPlan(
        final_spacing=finest_spacing(band.radius, dataset.diameter_px, dataset.box),
        final_step=FINEST_SHIFT * dataset.box / band.radius,
        shift_extent=search.shift_range * dataset.box,
        grid=settings.grid,
        first_spacing=settings.angular_spacing or search.spacing,
        first_step=settings.shift_step or dataset.box / (4 * radius),
        first_radius=radius,
        subdivisions=settings.subdivisions,
        orientation_cap=settings.orientation_cap,
        shift_cap=settings.shift_cap,
        fewest_shifts=settings.fewest_shifts,
        incumbent=settings.incumbent,
        bound=settings.bound,
    )


def pruning_metrics(parts: Sequence[tuple[StagePruning, ...]], extent: float) -> dict[str, list[dict[str, float]]]:
    """What the stages of a search kept, for a line of ``metrics.jsonl``; nothing where none was made.

    Parameters
    ----------
    parts
        The stages of each part of the images that was searched under a map of its own.
    extent
        Side of the images, A.
    """
    lines = [
        {
            "part": number,
            "resolution_A": extent / stage.radius,
            "scored": stage.scored,
            "kept_by_bound": stage.kept_by_bound,
            "kept_by_caps": stage.kept_by_caps,
            "capped": stage.capped,
        }
        for number, part in enumerate(parts, start=1)
        for stage in part
    ]
    return {"pruning": lines} if lines else {}
