"""A refinement without a starting map: each half-set makes its own from a random start, and only then do they meet.

Images know neither an orientation of the whole nor a hand: the map of the second half-set is superposed on that of the
first, over all rotations, displacements and both hands. How far the two agree then is the first thing that the
half-sets have to say together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.core.progress import Progress
from cryorbit.evaluation.align import align_maps
from cryorbit.evaluation.fsc import fsc_curve, resolution_at
from cryorbit.execution.group import once
from cryorbit.inference.constraints import windowed
from cryorbit.inference.symmetry import SymmetryAxes, average_over_group, find_axes
from cryorbit.io.job_folder import JobFolder
from cryorbit.recipes.dataset import Dataset
from cryorbit.recipes.dealt_parts import DealtParts
from cryorbit.recipes.refine.config import RefineConfig
from cryorbit.recipes.refine.half_set_start import HalfSetStart, half_of, make_start, restored
from cryorbit.recipes.refine.radii import largest_radius
from cryorbit.recipes.refine.start import UNLIKE_RANDOM
from cryorbit.recipes.refine.state import RandomStart, RefineState
from cryorbit.volumes.voxel import resample

HALVES = 2
SAME_MAP_FSC = 0.5
"""Below this FSC two maps are no longer the same; at 0.143 those of two particles are still alike."""
NEEDED_A_OVER_DIAMETER = 1 / 4
"""Coarsest agreement of the same maps. Of a phantom of 100 Å two half-sets of 300 images agreed to 16 Å, those of two
phantoms to over 50 Å."""
START_AGAIN = (
    "several starts of each half-set (random_start.starts = 3 in --config) or another --seed; fewer bad particles (2-D "
    "classification); or a starting map (--map), for example from `cryorbit abinit`"
)
"""What to try when random starts fail."""


@dataclass(frozen=True, slots=True)
class Superposed:
    """The first maps of the half-sets in one frame and of one hand, and what they have in common.

    Attributes
    ----------
    maps
        On one working box.
    resolution_A
        At which their FSC falls below 0.5.
    mirrored
        Whether the second one was mirrored.
    """

    maps: Float[Tensor, "2 m m m"]
    resolution_A: float  # noqa: N815 (units belong to the name)
    mirrored: bool


def require_no_mask(config: RefineConfig) -> None:
    """Raise ``InputError`` if a mask is to fit a map whose orientation and hand nobody knows yet."""
    if config.mask is not None and not config.maps:
        raise InputError(
            "a map from a random start has any orientation and hand: no mask fits it",
            file=config.mask,
            fix="leave --mask out, or give the map that the mask was made for (--map)",
        )


def begin_at_random(config: RefineConfig, dataset: Dataset, job: JobFolder, progress: Progress) -> RefineState:
    """The first state of both half-sets, from random starts that the processes of the job share out.

    Raises
    ------
    InputError
        The half-sets came to different maps, or a map says no more of held-out particles than a ball; the job is to
        finish now, and a half-set has not begun.
    Stopped
        The job was asked to stop; what the starts have come to is kept.
    """
    chosen = [_best(starts) for starts in _all_starts(config, dataset, job, progress)]
    superposed = once(job.group, lambda: superpose(dataset, (chosen[0].volume[0], chosen[1].volume[0])))
    found = RandomStart(
        agreement_A=superposed.resolution_A,
        needed_A=dataset.diameter * NEEDED_A_OVER_DIAMETER,
        lead_over_ball=tuple(start.lead_over_ball for start in chosen),
    )
    if config.check_start and not job.finish_now and failures(found):
        # the folder is free for the same command with other settings
        job.remove_parts()
        raise InputError(
            f"the random starts failed: {failures(found)[0]}",
            fix=f"try {START_AGAIN}; --no-check-start goes on nevertheless",
        )
    size = superposed.maps.shape[-1]
    references = windowed(superposed.maps.to(dataset.noise_variance), dataset.window(size))[:, None]
    return RefineState(
        stage="pass" if config.method == "em" else "sgd",
        iteration=0,
        references=references,
        noise_variance=torch.stack([start.noise_variance for start in chosen]),
        radius=min(
            max(start.radius for start in chosen),
            largest_radius(config, dataset.box, dataset.source.pixel_size),
        ),
        random_start=found,
        start_notes=(_on_alignment(superposed),),
    )


def superpose(dataset: Dataset, maps: tuple[Float[Tensor, "a a a"], Float[Tensor, "b b b"]]) -> Superposed:
    """The second map on the first, over both hands; with a point group, both on its axes and averaged over it."""
    size = max(len(volume) for volume in maps)
    first, second = (resample(volume.cpu(), size) for volume in maps)
    group, pixel = dataset.operators, dataset.extent / size
    if group is not None:
        radius, operators = dataset.particle_radius(size), group.to(first)
        first, second = (
            average_over_group(volume, find_axes(volume, operators, radius), operators) for volume in (first, second)
        )
    alignment = align_maps(second, first, pixel)
    second = alignment.aligned
    if group is not None:
        second = average_over_group(second, _in_place(second), group.to(second))
    resolution = resolution_at(fsc_curve(second, first, pixel), SAME_MAP_FSC)
    return Superposed(torch.stack([first, second]), resolution, alignment.hand_flipped)


def failures(found: RandomStart) -> list[str]:
    """What is wrong with random starts, in words."""
    wrong = [
        f"particles held out of half-set {half} fit its map no better than a ball"
        for half, lead in enumerate(found.lead_over_ball, start=1)
        # without held-out particles nothing can be said
        if not math.isnan(lead) and lead < UNLIKE_RANDOM
    ]
    if found.agreement_A > found.needed_A:
        wrong.append(
            f"the half-sets came to different maps, which agree to {found.agreement_A:.1f} Å "
            f"(agreement to {found.needed_A:.1f} Å or better counts as the same map)"
        )
    return wrong


def _all_starts(
    config: RefineConfig, dataset: Dataset, job: JobFolder, progress: Progress
) -> tuple[list[HalfSetStart], list[HalfSetStart]]:
    """The starts of each half-set, in order."""

    def make(number: int, mine: Dataset, part: JobFolder) -> None:
        make_start(config, mine, number, part, progress)

    parts = DealtParts(config, dataset, job, progress, HALVES * config.random_start.starts)
    for half in range(HALVES):
        if half not in map(half_of, parts.numbers):
            raise InputError(f"no start of half-set {half + 1} has begun", fix="resume without --finish-now")
    starts: tuple[list[HalfSetStart], list[HalfSetStart]] = [], []
    for number, part in parts.made(make):
        checkpoint = part.load_checkpoint()
        assert checkpoint is not None
        starts[half_of(number)].append(restored(dataset, checkpoint["state"]))
    return starts


def _best(starts: list[HalfSetStart]) -> HalfSetStart:
    """The start that held-out particles of its half-set fit best."""
    judged = [start for start in starts if not math.isnan(start.held_out)]
    return max(judged, key=lambda start: start.held_out) if judged else starts[0]


def _in_place(volume: Float[Tensor, "m m m"]) -> SymmetryAxes:
    """The axes of a map that lie where the group has them."""
    return SymmetryAxes(torch.eye(3).to(volume), volume.new_zeros(3), 1.0, 1.0)


def _on_alignment(superposed: Superposed) -> str:
    moved = "mirrored and superposed" if superposed.mirrored else "superposed"
    return (
        f"Each half-set made a map from a random start. The second map was {moved} on the first, and agrees with it to "
        f"{superposed.resolution_A:.1f} Å. Their common hand is arbitrary."
    )
