"""Where the poses of an E-step are looked for: everywhere at first, and around the last ones once they hold."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.seeds import generator_for
from cryorbit.inference.band import band_within
from cryorbit.inference.candidates import Candidates, by_image
from cryorbit.inference.global_search import (
    GlobalSearch,
    coarse_spacing,
    resolvable_radius,
    search_all_poses,
)
from cryorbit.inference.local_search import Descent
from cryorbit.inference.pose_hold import posterior_elsewhere
from cryorbit.inference.pose_levels import Level, finest_spacing, levels_for
from cryorbit.inference.pose_space import PoseSpace
from cryorbit.inference.pruning import StagePruning
from cryorbit.recipes.bounded_poses import FINEST_SHIFT, BoundedPoses, BoundedSearch, bounded_poses
from cryorbit.recipes.dataset import Dataset
from cryorbit.recipes.refine.config import RefineConfig
from cryorbit.recipes.refine.state import RefineState
from cryorbit.volumes.voxel import resample

LOGGER = logging.getLogger(__name__)
LOCAL_LEVELS = 2
"""Halvings of a local search, which reaches twice the finest spacing to every side; one more ..."""
COARSER_POSES = 1.5
"""... if the radius has grown by more than this since the poses were found: they are not known so well."""
WORTH_A_SAMPLE = 2
"""Fewer settled images than this many samples of them: searching all poses of all costs hardly more."""


@dataclass(frozen=True, slots=True)
class PoseSearch:
    """Where the poses of some images are looked for.

    Attributes
    ----------
    rows
        Which of the images of an E-step, in rising order.
    cells, levels
        Coarse candidates, images numbered as in ``rows``, and the levels down from them.
    everywhere
        Whether the cells come from all poses, or lie around known ones.
    pruning
        What the stages of branch and bound kept, if the cells come from it.
    """

    rows: Int[Tensor, " m"]
    cells: Candidates
    levels: list[Level]
    everywhere: bool
    pruning: tuple[StagePruning, ...] = ()


def pose_searches(
    config: RefineConfig, dataset: Dataset, state: RefineState, half: int, index: Int[Tensor, " n"]
) -> list[PoseSearch]:
    """Around the poses of the last pass for images that they hold for, everywhere for the others.

    They hold for an image when hardly any of its posterior was elsewhere, or of that of all images together, if a
    search over all poses finds hardly any now for a sample of such images; in the late stage they do.
    """
    known, everything = state.estimates, torch.arange(len(index))
    # mini-batches are small, and their maps change fast
    if known is None or state.stage == "sgd":
        return [_global(config, dataset, state, half, index, everything)]
    if state.stage == "late":
        return [_local(config, dataset, state, index, everything)]
    elsewhere, most = known.elsewhere[index].cpu(), config.poses.moved
    settled = (elsewhere <= most) | (elsewhere.mean() <= most)
    rows, others = everything[settled], everything[~settled]
    if len(rows) <= WORTH_A_SAMPLE * config.poses.check_images or not _hold(config, dataset, state, half, index[rows]):
        return [_global(config, dataset, state, half, index, everything)]
    searches = [_local(config, dataset, state, index, rows)]
    return [*searches, _global(config, dataset, state, half, index, others)] if len(others) else searches


def pose_space(config: RefineConfig, dataset: Dataset) -> PoseSpace:
    """All poses that an image may have."""
    return PoseSpace(config.poses.shift_range * dataset.box, dataset.operators)


def _local(
    config: RefineConfig, dataset: Dataset, state: RefineState, index: Int[Tensor, " n"], rows: Int[Tensor, " m"]
) -> PoseSearch:
    """A search around the last poses."""
    known, mine = state.estimates, index[rows]
    assert known is not None
    cells = _around(known.class_rotation[mine], known.class_shift[mine])
    return PoseSearch(rows, cells, _local_levels(config, dataset, state), everywhere=False)


def _global(
    config: RefineConfig,
    dataset: Dataset,
    state: RefineState,
    half: int,
    index: Int[Tensor, " n"],
    rows: Int[Tensor, " m"],
) -> PoseSearch:
    """A search over all poses."""
    if config.poses.search == "branch-and-bound":
        found = _bounded(config, dataset, state, half, index[rows])
        classes = state.references.shape[1]
        rotation, shift = (
            each[:, None].expand(-1, classes, *each.shape[1:]) for each in (found.best.rotation, found.best.shift)
        )
        # branch and bound has gone down to the finest spacing: one level around its pose is left
        last = _local_levels(config, dataset, state)[-1:]
        return PoseSearch(rows, _around(rotation, shift), last, everywhere=True, pruning=found.stages)
    return PoseSearch(rows, *_everywhere(config, dataset, state, half, index[rows]), everywhere=True)


def _hold(config: RefineConfig, dataset: Dataset, state: RefineState, half: int, index: Int[Tensor, " n"]) -> bool:
    """Whether a local search would miss no more of the posterior than the settings allow; other images each pass.

    Known poses are among the cells of the trial: the coarse scores of a grid miss the best pose of some images in each
    search, which makes another place likely only where nothing better is beside it.
    """
    known = state.estimates
    assert known is not None
    count = min(config.poses.check_images, len(index))
    start = (state.iteration * count) % (len(index) - count + 1)
    sample = index[start : start + count]
    cells, levels = _everywhere(config, dataset, state, half, sample)
    cells = by_image([cells, _around(known.class_rotation[sample], known.class_shift[sample])])
    band = band_within(dataset.box, state.radius, state.noise_variance[half])
    reach = _local_width(dataset, state) / 2
    volume = resample(state.references[half], band.grid.size)
    descent = Descent(levels, pose_space(config, dataset))
    beyond = posterior_elsewhere(
        dataset.source, sample, cells, volume, band, descent, known.class_rotation[sample], reach
    )
    missed = float(beyond.mean())
    LOGGER.info(
        "half-set %d: %.3f of the posterior of settled images beyond %.1f degrees, %d of them",
        half + 1,
        missed,
        reach,
        len(index),
    )
    return missed <= config.poses.moved


def _everywhere(
    config: RefineConfig, dataset: Dataset, state: RefineState, half: int, index: Int[Tensor, " n"]
) -> tuple[Candidates, list[Level]]:
    """Candidates from all poses, for each class under its own map, and the levels down from the coarse grid."""
    settings = config.poses
    radius = min(state.radius, resolvable_radius(settings.angular_spacing, dataset.diameter_px, dataset.box))
    # a quarter of the finest wavelength: phases are off by 45 degrees at most along an axis
    step = dataset.box / (4 * radius)
    search = GlobalSearch(settings.angular_spacing, radius, pose_space(config, dataset), step, settings.cells)
    generator = generator_for(config.seed, "pose refinement", state.iteration, half)
    cells = search_all_poses(
        dataset.source, index, state.references[half], state.noise_variance[half], search, generator
    )
    return cells, levels_for(state.radius, _coarse(config), step, dataset.diameter_px, dataset.box, settings.candidates)


def _bounded(
    config: RefineConfig, dataset: Dataset, state: RefineState, half: int, index: Int[Tensor, " n"]
) -> BoundedPoses:
    """The pose that branch and bound finds for each image."""
    settings = config.poses
    band = band_within(dataset.box, state.radius, state.noise_variance[half])
    search = BoundedSearch(settings.bound, settings.angular_spacing, settings.shift_range)
    return bounded_poses(dataset, index, resample(state.references[half], band.grid.size), band, search)


def _around(rotation: Float[Tensor, "n k 3 3"], shift: Float[Tensor, "n k 2"]) -> Candidates:
    """The known pose of each image in each class as its one cell there."""
    images, classes = rotation.shape[:2]
    numbers = torch.arange(images, device=rotation.device).repeat_interleave(classes)
    klass = torch.arange(classes, device=rotation.device).repeat(images)
    return Candidates(numbers, klass, rotation.flatten(0, 1), shift.flatten(0, 1))


def _local_levels(config: RefineConfig, dataset: Dataset, state: RefineState) -> list[Level]:
    """Levels from a cell several times as wide as the finest spacing: it holds what is unsure about known poses."""
    step = _local_factor(state) * FINEST_SHIFT * dataset.box / state.radius
    return levels_for(
        state.radius, _local_width(dataset, state), step, dataset.diameter_px, dataset.box, config.poses.candidates
    )


def _local_width(dataset: Dataset, state: RefineState) -> float:
    """Width in degrees of the cell of a local search."""
    return _local_factor(state) * finest_spacing(state.radius, dataset.diameter_px, dataset.box)


def local_reach(dataset: Dataset, state: RefineState) -> float:
    """How far (degrees) the next local search reaches around the best poses, if the radius hardly grows."""
    return 2 ** (LOCAL_LEVELS - 1) * finest_spacing(state.radius, dataset.diameter_px, dataset.box)


def _local_factor(state: RefineState) -> int:
    return 2 ** (LOCAL_LEVELS + (state.radius > COARSER_POSES * state.posed_radius))


def _coarse(config: RefineConfig) -> float:
    return coarse_spacing(config.poses.angular_spacing)
