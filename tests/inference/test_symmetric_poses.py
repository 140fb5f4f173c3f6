"""Searches of a symmetric particle: one asymmetric unit holds what all orientations hold."""

import math
from pathlib import Path

import pytest
import torch

from cryorbit.geometry.point_groups import near_asymmetric_unit, point_group
from cryorbit.geometry.rotations import random_rotations
from cryorbit.geometry.so3_grid import hopf_grid
from cryorbit.inference.exact_sums import exact_sums
from cryorbit.inference.global_search import GlobalSearch, coarse_spacing, search_all_poses
from cryorbit.inference.local_search import Descent, Refinement, refine_poses
from cryorbit.inference.pose_estimates import PoseEstimates
from cryorbit.inference.pose_hold import posterior_elsewhere
from cryorbit.inference.pose_levels import levels_for
from cryorbit.inference.pose_space import PoseSpace
from cryorbit.inference.statistics import VolumeStatistics, volume_statistics
from cryorbit.simulate.phantoms import Blobs, blob_volume, random_blobs
from phantom_sets import PhantomSet, phantom_set

RADIUS, COARSE_RADIUS, SHIFT_STEP, DIAMETER_PX, SHIFT_RANGE = 10.0, 6.0, 1.5, 20.0, 4.0
LEVELS = levels_for(RADIUS, coarse_spacing(15), SHIFT_STEP, DIAMETER_PX, 32, at_most=5000)
GROUP = point_group("D2")


def symmetric_set(folder: Path, snr: float) -> PhantomSet:
    """Sixty particles of a phantom with three two-fold axes."""
    generator = torch.Generator().manual_seed(11)
    unit = random_blobs(32, generator, 8)
    centers = torch.cat([unit.centers @ operator.to(unit.centers).T for operator in GROUP])
    blobs = Blobs(centers, torch.full((len(centers),), 1.15).to(unit.widths), unit.heights.repeat(len(GROUP)))
    return phantom_set(folder, [blob_volume(blobs, 32)], 60, snr, generator)


def search(
    particles: PhantomSet, space: PoseSpace, cells: int, reach: float = math.inf
) -> tuple[VolumeStatistics, PoseEstimates]:
    """All poses of a space, refined."""
    index, band, volume = particles.everything, particles.band(RADIUS), particles.working(RADIUS)
    plan = GlobalSearch(15, COARSE_RADIUS, space, SHIFT_STEP, cells)
    generator = torch.Generator().manual_seed(3)
    found = search_all_poses(particles.source, index, particles.volumes, band.noise_variance, plan, generator)
    sums = exact_sums(band, len(index), 2, 1, torch.device("cpu"))
    refinement = Refinement(Descent(LEVELS, space), index % 2, reach=reach)
    estimates, terms = refine_poses(particles.source, index, found, volume, band, refinement, sums)
    return volume_statistics(sums, terms, particles.source.shards), estimates


def test_copies_are_one_pose(tmp_path: Path) -> None:
    """Where posteriors are broad, one unit has the evidence of all orientations and is four times as sure of one."""
    particles = symmetric_set(tmp_path, 0.05)
    _, unit = search(particles, PoseSpace(SHIFT_RANGE, GROUP), 150)
    _, everything = search(particles, PoseSpace(SHIFT_RANGE), 150 * len(GROUP))
    assert float((unit.log_evidence - everything.log_evidence).abs().median()) < 0.12
    assert float((unit.max_probability / everything.max_probability).median()) == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize("symbol", ["C2", "C5", "D7", "T", "O", "I"])
def test_a_unit_with_a_margin_covers_every_orbit(symbol: str, generator: torch.Generator) -> None:
    """No orientation is farther from the kept part of a grid, copies counted, than from the whole grid."""
    group, grid, spacing = point_group(symbol), hopf_grid(2), coarse_spacing(15)
    kept = grid[near_asymmetric_unit(grid, group, 0.5 * spacing)]
    assert len(kept) < 3 * len(grid) / len(group)
    orbits = random_rotations(300, generator)[:, None] @ group

    def farthest(rotations: torch.Tensor, copies: int) -> float:
        trace = orbits[:, :copies].flatten(-2) @ rotations.flatten(-2).T
        cosine = ((trace.amax((1, 2)) - 1) / 2).clamp(-1, 1)
        return float(torch.rad2deg(cosine.arccos()).amax())

    assert farthest(kept, len(group)) < 1.1 * farthest(grid, 1)


@pytest.mark.parametrize(("turn", "expected"), [(0, 0.0), (1, 0.0), (None, 1.0)])
def test_posterior_elsewhere(tmp_path: Path, turn: int | None, expected: float) -> None:
    """Hardly any lies far from the true poses or their mates; all of it does from poses a quarter turn away."""
    particles = symmetric_set(tmp_path, 2.0)
    index, band, space = particles.everything, particles.band(RADIUS), PoseSpace(SHIFT_RANGE, GROUP)
    plan = GlobalSearch(15, COARSE_RADIUS, space, SHIFT_STEP, 150)
    generator = torch.Generator().manual_seed(4)
    cells = search_all_poses(particles.source, index, particles.volumes, band.noise_variance, plan, generator)
    quarter = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    known = particles.poses.rotations @ (quarter if turn is None else GROUP[turn].float())
    volume = particles.working(RADIUS)
    around = known[:, None], 20.0
    found = posterior_elsewhere(particles.source, index, cells, volume, band, Descent(LEVELS, space), *around)
    assert float(found.mean()) == pytest.approx(expected, abs=0.15)


def test_a_pass_says_what_it_left_elsewhere(tmp_path: Path) -> None:
    """The posterior beyond a reach of the best poses that a pass tells is what a second search finds there."""
    particles = symmetric_set(tmp_path, 0.05)
    _, estimates = search(particles, PoseSpace(SHIFT_RANGE, GROUP), 150, reach=12.0)
    index, band, space = particles.everything, particles.band(RADIUS), PoseSpace(SHIFT_RANGE, GROUP)
    plan = GlobalSearch(15, COARSE_RADIUS, space, SHIFT_STEP, 150)
    generator = torch.Generator().manual_seed(3)
    cells = search_all_poses(particles.source, index, particles.volumes, band.noise_variance, plan, generator)
    around, volume = (estimates.class_rotation, 12.0), particles.working(RADIUS)
    again = posterior_elsewhere(particles.source, index, cells, volume, band, Descent(LEVELS, space), *around)
    assert 0.05 < float(again.mean()) < 0.95
    torch.testing.assert_close(estimates.elsewhere, again, atol=1e-4, rtol=1e-3)
