"""The hot loops of the package, a batch of images each, on any device.

`LOOPS` has them by name: functions of a `Problem`, which begin where the images have been read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.data import Poses
from cryorbit.geometry.rotations import random_rotations
from cryorbit.geometry.shift_grid import disc_grid
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.inference.band import Band, band_within
from cryorbit.inference.branch_and_bound import BranchPlan, branch_and_bound
from cryorbit.inference.candidates import Candidates
from cryorbit.inference.exact_sums import exact_sums
from cryorbit.inference.global_search import coarse_cells, coarse_grid, coarse_spacing
from cryorbit.inference.grid_oracle import GridOracle
from cryorbit.inference.local_search import Descent, Refinement, refine_poses
from cryorbit.inference.pose_grid import PoseGrid
from cryorbit.inference.pose_levels import levels_for
from cryorbit.inference.pose_space import PoseSpace
from cryorbit.inference.reconstruction import KnownPoses, reconstruct
from cryorbit.volumes.voxel import resample

SPACING, SHIFT_STEP, SHIFT_RANGE = 15.0, 1.5, 4.0
CELLS = 8
"""Candidates that an image of a pass begins with."""
AT_MOST = 12
"""Those that go on from a level."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Images and what is known of them, all on one device.

    Attributes
    ----------
    source
        The images.
    volumes
        Maps of the classes on the box of the images.
    count
        Images of a batch.
    radius
        Fourier radius of the scores.
    diameter
        Of the particle, as part of the box.
    """

    source: ParticleSource
    volumes: Float[Tensor, "k n n n"]
    count: int
    radius: float
    diameter: float = 0.6

    @property
    def device(self) -> torch.device:
        """Where everything is."""
        return self.volumes.device

    @property
    def index(self) -> Tensor:
        """Numbers of the particles of the batch."""
        return torch.arange(self.count)

    def band(self, radius: float) -> Band:
        """The band of a radius."""
        box = self.source.box
        return band_within(box, radius, torch.ones(box // 2 + 1).to(self.device))

    def on(self, device: torch.device | str, count: int | None = None) -> Problem:
        """The same on another device, or of another number of images."""
        device = torch.device(device)
        source = replace(self.source, device=device)
        return Problem(source, self.volumes.to(device), count or self.count, self.radius, self.diameter)


def search_step(problem: Problem) -> Tensor:
    """A mini-batch of the search from a random start: scores on a grid of all poses, and the field of descent."""
    band = problem.band(0.6 * problem.radius)
    observations = problem.source.observe(problem.index, band.disc, band.noise_variance)
    oracle = GridOracle(observations, _grid(problem, band.radius), band.grid, band.disc)
    return oracle.evaluate(resample(problem.volumes, band.grid.size), None).field


def grid_scores(problem: Problem) -> Candidates:
    """Coarse candidates of a search over all poses."""
    band = problem.band(0.6 * problem.radius)
    observations = problem.source.observe(problem.index, band.disc, band.noise_variance)
    working = resample(problem.volumes, band.grid.size)
    return coarse_cells(observations, working, _grid(problem, band.radius), band, CELLS)


def refined_poses(problem: Problem) -> Tensor:
    """A pass on candidates of their own: levels of subdivision, statistics, and their insertion."""
    band, classes = problem.band(problem.radius), len(problem.volumes)
    sums = exact_sums(band, problem.count, 1, classes, problem.device)
    box = problem.source.box
    levels = levels_for(problem.radius, coarse_spacing(SPACING), SHIFT_STEP, problem.diameter * box, box, AT_MOST)
    half_set = torch.zeros(problem.count, dtype=torch.long).to(problem.device)
    refinement = Refinement(Descent(levels, PoseSpace(SHIFT_RANGE), local=True), half_set)
    working = resample(problem.volumes, band.grid.size)
    refine_poses(problem.source, problem.index, cells_of(problem), working, band, refinement, sums)
    return sums.counts


def cells_of(problem: Problem) -> Candidates:
    """Candidates around random poses: as many as a search leaves an image."""
    generator, count = torch.Generator().manual_seed(3), CELLS * problem.count
    cells = Candidates(
        torch.arange(problem.count).repeat_interleave(CELLS),
        torch.arange(count) % len(problem.volumes),
        random_rotations(count, generator).float(),
        torch.randn(count, 2, generator=generator),
    )
    return Candidates(*(getattr(cells, name).to(problem.device) for name in Candidates.__slots__))


def reconstruction(problem: Problem) -> Tensor:
    """Images inserted in known poses, to the largest radius."""
    generator, box = torch.Generator().manual_seed(4), problem.source.box
    turns = random_rotations(problem.count, generator).float()
    shifts = torch.randn(problem.count, 2, generator=generator)
    none = torch.zeros(problem.count, dtype=torch.long).to(problem.device)
    poses = Poses(turns.to(problem.device), shifts.to(problem.device))
    known = KnownPoses(poses, none, none, torch.ones(problem.count).to(problem.device))
    return reconstruct(problem.source, problem.index, known, problem.band(box / 2 - 1), 1).weight


def bounded_search(problem: Problem) -> Tensor:
    """The best poses by branch and bound."""
    plan = BranchPlan(final_spacing=8.0, final_step=1.0, shift_extent=4.0, first_radius=0.6 * problem.radius)
    band = problem.band(problem.radius)
    working = resample(problem.volumes, band.grid.size)
    return branch_and_bound(problem.source, problem.index, working, band, plan).score


def _grid(problem: Problem, radius: float) -> PoseGrid:
    """All poses of the search, at the steps that a radius asks for."""
    shifts = disc_grid(SHIFT_RANGE, problem.source.box / radius / 3).float().to(problem.device)
    return PoseGrid(coarse_grid(SPACING, len(problem.volumes), problem.volumes), shifts)


LOOPS: dict[str, Callable[[Problem], object]] = {
    "search step": search_step,
    "grid scores": grid_scores,
    "refined poses": refined_poses,
    "reconstruction": reconstruction,
    "branch and bound": bounded_search,
}
