"""The best pose of each image by branch and bound: cells of poses that cannot hold it are never subdivided.

Punjani, Rubinstein, Fleet & Brubaker (2017): a grid of all poses is scored on few coefficients of low frequency. What
the others could add at most is known (``pose_bound``), so every cell whose bound is below the full score of some pose,
the incumbent, is dropped; the rest are subdivided and scored on more coefficients.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, fields
from typing import Literal

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

from cryorbit.core.chunks import chunk_size
from cryorbit.core.memory import batch_bytes, batch_images
from cryorbit.fourier.half_disc import HalfDisc, count_within
from cryorbit.geometry.axis_angle_grid import axis_angle_grid
from cryorbit.geometry.shift_grid import disc_grid
from cryorbit.geometry.so3_grid import hopf_grid, order_for, spacing_deg
from cryorbit.imaging.observations import Observations
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.imaging.shifts import shift_phases
from cryorbit.inference.band import Band
from cryorbit.inference.candidates import Candidates, CandidateScores, score_candidates
from cryorbit.inference.grid_scores import Parts, model_energy, overlap, parts_of, shifted_images, squared
from cryorbit.inference.pose_bound import BoundSettings, SliceSamples, bound_margin, sample_slices
from cryorbit.inference.pose_cells import PoseCells, best_cells, capped, children, poses_of, surviving, whole_grid
from cryorbit.inference.pose_grid import grid_slices
from cryorbit.volumes.model import Model

BUDGET_BYTES = 256 * 2**20
"""For the cells of a batch of images and their scores."""
LARGEST_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchPlan:
    """How poses are subdivided and bounded.

    Attributes
    ----------
    final_spacing, final_step
        Rotations (degrees) and shifts (px) are subdivided until both are at least as fine as this.
    shift_extent
        Largest shift of the first grid, px.
    grid
        Of the first rotations: equal volume, or Cartesian in rotation vectors (published at 24 degrees).
    first_spacing, first_step
        Spacing (degrees, px) of the first grid; the equal-volume grid takes the next finer one that exists.
    first_radius
        Fourier radius of the first scores; every subdivision doubles it, up to the whole disc.
    subdivisions
        So many, however fine that is; None: as ``final_spacing`` and ``final_step`` ask for. Published are seven.
    orientation_cap, shift_cap
        Parts of the first grid's orientations and shifts that an image may keep. Published are 1 / 8 and 1 / 4, which
        a subdivision into 8 and 4 makes whole again; an eighth of the orientations loses the best pose of one image in
        a hundred.
    fewest_shifts
        The cap on shifts never goes below this: a quarter of a small grid loses the best pose of some images.
    incumbent
        The pose whose full score cells have to reach: the best cell's centre, as published, or the best pose on the
        way down from it. Any pose will do for a bound, and a better one drops more cells.
    bound
        What the bound allows for.
    """

    final_spacing: float
    final_step: float
    shift_extent: float
    grid: Literal["equal-volume", "axis-angle"] = "equal-volume"
    first_spacing: float = 15.0
    first_step: float = 5.0
    first_radius: float = 12.0
    subdivisions: int | None = None
    orientation_cap: float = 1 / 4
    shift_cap: float = 1 / 4
    fewest_shifts: int = 8
    incumbent: Literal["best-cell", "descent"] = "descent"
    bound: BoundSettings = field(default_factory=BoundSettings)

    def rotations(self) -> Float[Tensor, "r 3 3"]:
        """The first grid of rotations, float64."""
        if self.grid == "equal-volume":
            return hopf_grid(order_for(self.first_spacing))
        return axis_angle_grid(self.first_spacing)

    def stages(self, radius: float) -> list[SearchLevel]:
        """From the first grid to the finest; the last is scored at the whole ``radius``."""
        spacing = self.first_spacing
        if self.grid == "equal-volume":
            spacing = spacing_deg(order_for(spacing))
        ratio = max(spacing / self.final_spacing, self.first_step / self.final_step, 1.0)
        # a ratio that is a power of two but for rounding takes no stage more
        last = math.ceil(math.log2(ratio) - 1e-9) if self.subdivisions is None else self.subdivisions
        radii = [min(self.first_radius * 2**n, radius) for n in range(last)] + [radius]
        return [SearchLevel(spacing / 2**n, self.first_step / 2**n, r) for n, r in enumerate(radii)]


@dataclass(frozen=True, slots=True)
class SearchLevel:
    """One level of the search: spacing of its rotations (degrees) and shifts (px), Fourier radius of its scores."""

    spacing: float
    step: float
    radius: float


@dataclass(frozen=True, slots=True)
class BestPoses:
    """Best poses of N images and what they cost.

    Attributes
    ----------
    rotation, shift, klass
        The pose and class of the best score (shift in px).
    score
        Its log-likelihood relative to pure noise, nats.
    evaluated, bounded, kept
        Poses (pairs of a rotation and a shift) at each stage: scored, kept by the bound, and of these kept by the caps.
    capped
        Whether, at each stage, the caps on orientations and on shifts took away what the bound had kept.
    """

    rotation: Float[Tensor, "n 3 3"]
    shift: Float[Tensor, "n 2"]
    klass: Int[Tensor, " n"]
    score: Float[Tensor, " n"]
    evaluated: Int[Tensor, "n g"]
    bounded: Int[Tensor, "n g"]
    kept: Int[Tensor, "n g"]
    capped: Bool[Tensor, "n g 2"]


@dataclass(frozen=True, slots=True)
class BranchResult(BestPoses):
    """Best poses of a batch, and all that might be as good: hundreds an image, too many to keep for a whole set.

    Attributes
    ----------
    survivors, survivor_score
        All finest poses that the last bound could not exclude (shifts as centres), and their scores.
    """

    survivors: Candidates
    survivor_score: Float[Tensor, " s"]


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a stage of the search of a batch came to.

    Attributes
    ----------
    scores
        Of all its cells.
    leaders
        Candidate and lattice point of the best cell of each image.
    incumbent
        The best full score of each image so far, nats.
    bounded, kept
        Candidate and lattice point of the cells within the bound, and of those that the caps leave.
    counts
        For each image, what ``BestPoses`` has of every stage.
    """

    scores: CandidateScores
    leaders: Int[Tensor, "b 2"]
    incumbent: Float[Tensor, " b"]
    bounded: Int[Tensor, "s 2"]
    kept: Int[Tensor, "c 2"]
    counts: dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Searcher:
    """What all batches share: the model, the first grid with its slices and their squares, the stages."""

    plan: BranchPlan
    model: Model
    disc: HalfDisc
    rotations: Float[Tensor, "k r 3 3"]
    shifts: Float[Tensor, "t 2"]
    slices: Parts
    power: Float[Tensor, "g p"]
    stages: list[SearchLevel]
    samples: list[SliceSamples]

    @property
    def most(self) -> tuple[int, int]:
        """Orientations and shifts that an image may keep."""
        return (
            max(1, math.ceil(self.plan.orientation_cap * len(self.slices))),
            max(self.plan.fewest_shifts, math.ceil(self.plan.shift_cap * len(self.shifts))),
        )

    @property
    def bytes_per_image(self) -> int:
        """Memory of one image, about: the largest stage (the first, or one as full as the caps allow), shifted data.

        Slices do not count: where scores need them written, it is some at a time (``kernels.pose_scores``).
        """
        orientations, shifts = self.most
        # later every pair that the caps leave becomes eight orientations, each with four shifts; the ones are for the
        # orientation itself
        scores = max(len(self.slices) * (1 + len(self.shifts)), 8 * orientations * shifts * 5)
        return 64 * scores + 40 * len(self.disc) * shifts


def branch_and_bound(
    source: ParticleSource, index: Int[Tensor, " n"], volume: Float[Tensor, "k m m m"], band: Band, plan: BranchPlan
) -> BestPoses:
    """The best poses of the particles at ``index``, which rises, on the half disc of ``band``."""
    searcher = make_searcher(band.grid.model(volume), band.disc, plan)
    device = volume.device
    size = chunk_size(searcher.bytes_per_image, batch_bytes(device, BUDGET_BYTES), batch_images(device, LARGEST_BATCH))
    names = [each.name for each in fields(BestPoses)]

    def find(part: slice) -> list[Tensor]:
        batch = search_poses(source.observe(index[part], band.disc, band.noise_variance), searcher)
        return [getattr(batch, name) for name in names]

    batches = source.shards.run(find, index, size)
    return BestPoses(*(torch.cat(parts) for parts in zip(*batches, strict=True)))


def make_searcher(model: Model, disc: HalfDisc, plan: BranchPlan) -> Searcher:
    """Prepare searches in all classes of a model on the half disc of the full radius."""
    stages, like = plan.stages(disc.radius), model.spectra.real
    rotations = plan.rotations().to(like).expand(len(like), -1, 3, 3)
    low = _disc_within(disc, stages[0].radius)
    slices = grid_slices(model, rotations, low)
    samples = [sample_slices(model, disc, (stage.spacing, stage.step), plan.bound) for stage in stages]
    shifts = disc_grid(plan.shift_extent, plan.first_step).to(like)
    return Searcher(plan, model, disc, rotations, shifts, parts_of(slices), squared(slices), stages, samples)


def search_poses(observations: Observations, searcher: Searcher) -> BranchResult:
    """The best poses of a batch of images."""
    cells = whole_grid(searcher.rotations, len(observations))
    nothing = observations.weight.new_full((len(observations),), -torch.inf)
    at = search_stage(cells, nothing, observations, searcher, 0)
    counts = [at.counts]
    for number, above in enumerate(searcher.stages[:-1], start=1):
        cells = children(cells, at.scores.lattice, at.kept, above.spacing)
        at = search_stage(cells, at.incumbent, observations, searcher, number)
        counts.append(at.counts)
    leaders = poses_of(cells, at.scores.lattice, at.leaders)
    return BranchResult(
        rotation=leaders.rotation,
        shift=leaders.centre,
        klass=leaders.klass,
        score=at.scores.log_joint[at.leaders[:, 0], at.leaders[:, 1]],
        survivors=poses_of(cells, at.scores.lattice, at.kept),
        survivor_score=at.scores.log_joint[at.kept[:, 0], at.kept[:, 1]],
        **{name: torch.stack([count[name] for count in counts], 1) for name in counts[0]},
    )


def search_stage(
    cells: PoseCells, incumbent: Float[Tensor, " b"], observations: Observations, searcher: Searcher, number: int
) -> StageResult:
    """Score the cells of a stage, better the incumbents (nats) by its best cells, and drop what cannot reach them."""
    images = len(observations)
    scores = _stage_scores(cells, observations, searcher, number)
    best, where = best_cells(cells, scores, images)
    # the leader of a finer stage may score worse at the full radius than an earlier one
    incumbent = torch.maximum(incumbent, _full_scores((cells, scores, where), observations, searcher, number))
    count = count_within(searcher.disc, searcher.stages[number].radius)
    margin = bound_margin(observations.weight, searcher.samples[number], count, searcher.plan.bound)
    # the best cell stays even where the bound excludes it, as it may for an image that is not a slice of the volume
    bounded = surviving(cells, scores, torch.minimum(incumbent - margin, best))
    kept, bites = capped(cells, scores, bounded, searcher.most)
    image = cells.candidates.image
    counts = {
        "evaluated": torch.bincount(image, minlength=images) * len(scores.lattice),
        "bounded": torch.bincount(image[bounded[:, 0]], minlength=images),
        "kept": torch.bincount(image[kept[:, 0]], minlength=images),
        "capped": bites,
    }
    return StageResult(scores, where, incumbent, bounded, kept, counts)


def _full_scores(
    leaders: tuple[PoseCells, CandidateScores, Int[Tensor, "b 2"]],
    observations: Observations,
    searcher: Searcher,
    number: int,
) -> Float[Tensor, " b"]:
    """The score of each image at the full radius, of its best cell at a stage or of the best pose below it.

    From stage to stage the best of a cell's children is followed alone: 32 scores a stage, next to nothing beside those
    of all cells.
    """
    cells, scores, where = leaders
    best = _exact_scores(poses_of(cells, scores.lattice, where), observations, searcher)
    if searcher.plan.incumbent == "best-cell":
        return best
    for finer in range(number + 1, len(searcher.stages)):
        cells = children(cells, scores.lattice, where, searcher.stages[finer - 1].spacing)
        scores = _stage_scores(cells, observations, searcher, finer)
        _, where = best_cells(cells, scores, len(observations))
        best = torch.maximum(best, _exact_scores(poses_of(cells, scores.lattice, where), observations, searcher))
    return best


def _stage_scores(cells: PoseCells, observations: Observations, searcher: Searcher, number: int) -> CandidateScores:
    """Scores of all cells at a stage's radius: on the first grid products of matrices, later slice by slice."""
    stage = searcher.stages[number]
    low = _disc_within(searcher.disc, stage.radius)
    seen = observations.within(len(low))
    if number == 0:
        scores = _grid_scores(seen, searcher.slices, searcher.power, shift_phases(searcher.shifts, low))
        return CandidateScores(scores, searcher.shifts)
    # the middles of the four quarters of the cell that was subdivided, which is twice the step wide
    corners = torch.tensor(list(itertools.product((-0.25, 0.25), repeat=2)))
    lattice = corners.to(searcher.shifts) * 2 * stage.step
    return score_candidates(cells.candidates, seen, searcher.model, low, lattice)


def _grid_scores(
    observations: Observations, slices: Parts, power: Float[Tensor, "g p"], phases: Complex[Tensor, "t p"]
) -> Float[Tensor, "bg t"]:
    """Scores of slices common to all images, in the order of ``pose_cells.whole_grid``."""
    # with slices for images the product comes slice after slice
    product = overlap(slices, parts_of(shifted_images(observations.data, phases)))
    energy = model_energy(observations.weight, power)
    scores = product.unflatten(1, (len(observations), len(phases))).transpose(0, 1) - energy[:, :, None]
    return scores.flatten(0, 1)


def _exact_scores(leaders: Candidates, observations: Observations, searcher: Searcher) -> Float[Tensor, " b"]:
    """Scores at the full radius of one pose of each image."""
    nowhere_else = leaders.centre.new_zeros(1, 2)
    return score_candidates(leaders, observations, searcher.model, searcher.disc, nowhere_else).log_joint[:, 0]


def _disc_within(disc: HalfDisc, radius: float) -> HalfDisc:
    count = count_within(disc, radius)
    return HalfDisc(disc.box, radius, disc.frequencies[:count], disc.shells[:count])
