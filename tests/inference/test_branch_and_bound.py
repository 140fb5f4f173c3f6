"""Branch and bound finds what exhaustive search finds, with far fewer poses; caps, stages and survivors as promised."""

from dataclasses import dataclass, fields, replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryorbit.fourier.half_disc import HalfDisc
from cryorbit.fourier.interpolation import gather_slices
from cryorbit.geometry.rotations import angular_distance
from cryorbit.geometry.so3_grid import subdivide
from cryorbit.imaging.observations import Observations
from cryorbit.imaging.shifts import shift_phases
from cryorbit.inference import branch_and_bound as module
from cryorbit.inference.branch_and_bound import (
    BranchPlan,
    Searcher,
    StageResult,
    branch_and_bound,
    make_searcher,
    search_poses,
    search_stage,
)
from cryorbit.inference.candidates import Candidates, score_candidates
from cryorbit.inference.pose_bound import BoundSettings
from cryorbit.inference.pose_cells import whole_grid
from cryorbit.kernels import pose_scores as kernel
from cryorbit.kernels.table import POSE_SCORES
from cryorbit.volumes import voxel
from cryorbit.volumes.voxel import PAD, VoxelModel
from phantom_sets import PhantomSet, phantom_set, sharp_phantom

RADIUS, IMAGES = 8.0, 40
PLAN = BranchPlan(
    final_spacing=8.0, final_step=1.0, shift_extent=2.0, first_spacing=30.0, first_step=2.0, first_radius=4.0
)
"""From 576 rotations and 5 shifts to 36,864 and 80, in three stages."""


@dataclass(frozen=True)
class Problem:
    """Images, their observations and the volumes they are searched in."""

    particles: PhantomSet
    observations: Observations
    model: VoxelModel
    disc: HalfDisc

    def searcher(self, plan: BranchPlan = PLAN) -> Searcher:
        """A searcher of this plan."""
        return make_searcher(self.model, self.disc, plan)


def pose_problem(particles: PhantomSet) -> Problem:
    band = particles.band(RADIUS)
    observations = particles.source.observe(torch.arange(IMAGES), band.disc, band.noise_variance)
    return Problem(particles, observations, band.grid.model(particles.working(RADIUS)), band.disc)


@pytest.fixture(scope="module", params=[1.0, 0.2], ids=["clear", "noisy"])
def problem(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Problem:
    generator = torch.Generator().manual_seed(12)
    folder = tmp_path_factory.mktemp("bound")
    volume = sharp_phantom(generator)
    return pose_problem(phantom_set(folder, [volume], IMAGES, request.param, generator, shift_sigma=0.7))


def exhaustive_scores(problem: Problem) -> torch.Tensor:
    """The best score of every image among all poses of the finest grid."""
    searcher, spacing, step = problem.searcher(), 30.0, 2.0
    rotations, shifts = searcher.rotations[0], searcher.shifts
    for level in range(2):
        rotations = subdivide(rotations, spacing / 2**level).flatten(0, 1)
        axis = torch.tensor([-0.25, 0.25]) * step / 2**level
        shifts = (shifts[:, None] + torch.cartesian_prod(axis, axis)).flatten(0, 1)
    shifted = problem.observations.data[:, None] * shift_phases(shifts, problem.disc)
    columns = torch.view_as_real(shifted).flatten(2).flatten(0, 1).mT
    best = torch.full((IMAGES,), -torch.inf)
    for part in rotations.split(2048):
        slices = gather_slices(problem.model.spectra[0], part, problem.disc.frequencies, PAD)
        product = (torch.view_as_real(slices).flatten(1) @ columns).unflatten(1, (IMAGES, -1)).amax(2)
        best = torch.maximum(best, (product - 0.5 * slices.abs() ** 2 @ problem.observations.weight.mT).amax(0))
    return best


def test_the_optimum_is_that_of_exhaustive_search(problem: Problem) -> None:
    expected = exhaustive_scores(problem)
    found = search_poses(problem.observations, problem.searcher())
    torch.testing.assert_close(found.score, expected, rtol=1e-5, atol=1e-3)
    assert float(found.evaluated.sum(1).float().mean()) < 0.012 * 36864 * 80


def test_the_published_evaluation_at_grid_points_misses_optima(problem: Problem) -> None:
    """What the allowance for a cell is for."""
    plan = replace(PLAN, bound=BoundSettings(cell_reach=0.0))
    narrow, wide = (search_poses(problem.observations, problem.searcher(p)) for p in (plan, PLAN))
    assert bool((narrow.score <= wide.score + 1e-3).all())
    assert float((narrow.score < wide.score - 0.1).float().mean()) > 0.2
    assert int(narrow.evaluated.sum()) < int(wide.evaluated.sum())


def test_the_result_is_consistent(problem: Problem) -> None:
    found = search_poses(problem.observations, problem.searcher())
    image = found.survivors.image
    assert torch.equal(image, image.sort().values)
    assert torch.equal(torch.bincount(image, minlength=IMAGES) > 0, torch.ones(IMAGES, dtype=torch.bool))
    here = torch.zeros(1, 2)
    again = score_candidates(found.survivors, problem.observations, problem.model, problem.disc, here)
    torch.testing.assert_close(again.log_joint[:, 0], found.survivor_score, rtol=1e-4, atol=1e-2)
    best = torch.full((IMAGES,), -torch.inf).scatter_reduce(0, image, found.survivor_score, "amax")
    assert torch.equal(best, found.score)
    assert torch.equal(found.evaluated[:, 0], torch.full((IMAGES,), 576 * 5))
    assert bool((found.evaluated[:, 1:] % 32 == 0).all())


def test_clear_images_are_placed_where_they_are(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(12)
    particles = phantom_set(tmp_path, [sharp_phantom(generator)], IMAGES, 1.0, generator, shift_sigma=0.7)
    plan = BranchPlan(final_spacing=2.0, final_step=0.3, shift_extent=3.0, first_step=2.0, first_radius=5.0)
    problem = pose_problem(particles)
    found = search_poses(problem.observations, problem.searcher(plan))
    truth = Candidates(torch.arange(IMAGES), found.klass, particles.poses.rotations, particles.poses.shifts)
    here = torch.zeros(1, 2)
    at_truth = score_candidates(truth, problem.observations, problem.model, problem.disc, here).log_joint[:, 0]
    # three rotation and two shift parameters gain 2.5 nats over the truth, less what the grid loses
    gain = found.score - at_truth
    assert 0 < float(gain.mean()) < 4
    assert float(gain.min()) > -5
    angle = angular_distance(found.rotation.double(), particles.poses.rotations.double())
    assert float(angle.median()) < 2.0
    assert float(angle.max()) < 10.0
    assert float((found.shift - particles.poses.shifts).norm(dim=1).median()) < 0.25


def test_batches_do_not_change_results(clear_set: PhantomSet, monkeypatch: pytest.MonkeyPatch) -> None:
    index = torch.arange(20)
    band, volume = clear_set.band(RADIUS), clear_set.working(RADIUS)
    whole = branch_and_bound(clear_set.source, index, volume, band, PLAN)
    monkeypatch.setattr(
        module, "BUDGET_BYTES", 7 * make_searcher(band.grid.model(volume), band.disc, PLAN).bytes_per_image
    )
    parts = branch_and_bound(clear_set.source, index, volume, band, PLAN)
    for name in ("rotation", "shift", "klass", "score", "evaluated", "bounded", "kept", "capped"):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name), rtol=1e-5, atol=1e-3)


def test_what_a_set_leaves_is_a_pose_an_image(clear_set: PhantomSet) -> None:
    """The other poses that may be as good are hundreds an image: a set of many images has no room for them."""
    index = torch.arange(12)
    band, volume = clear_set.band(RADIUS), clear_set.working(RADIUS)
    found = branch_and_bound(clear_set.source, index, volume, band, PLAN)
    assert all(len(getattr(found, each.name)) == len(index) for each in fields(found))


def test_written_slices_fit_the_memory_of_a_batch(clear_set: PhantomSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no kernel, on a GPU, slices are written out: some at a time, with the same result."""
    problem = pose_problem(clear_set)
    observations, searcher = problem.observations[:4], problem.searcher()
    whole = search_poses(observations, searcher)
    written = []

    def counted(*arguments: torch.Tensor) -> torch.Tensor:
        slices = gather_by_class(*arguments)
        written.append(slices.numel())
        return slices

    gather_by_class = kernel.gather_by_class
    monkeypatch.setattr(kernel, "gather_by_class", counted)
    monkeypatch.setattr(voxel, "POSE_SCORES", replace(POSE_SCORES, dtypes=()))
    monkeypatch.setattr(kernel, "WRITTEN_BYTES", 2**22)
    parts = search_poses(observations, searcher)
    assert max(written) * kernel.BYTES_A_POINT <= 2**22 < sum(written) * kernel.BYTES_A_POINT
    torch.testing.assert_close(parts.score, whole.score, rtol=1e-4, atol=1e-2)


def test_classes_compete(two_class_set: PhantomSet) -> None:
    problem = pose_problem(two_class_set)
    found = search_poses(problem.observations, problem.searcher())
    assert float((found.klass == two_class_set.classes[:IMAGES]).float().mean()) > 0.8
    assert torch.equal(found.evaluated[:, 0], torch.full((IMAGES,), 2 * 576 * 5))


@pytest.mark.parametrize(
    ("caps", "most"),
    [
        ((1 / 4, 1 / 4, 8), (144, 8)),
        ((1 / 1000, 1.0, 8), (1, 8)),
        ((1 / 100, 5.0, 8), (6, 25)),
        ((1, 1 / 4, 1), (576, 2)),
    ],
)
def test_caps_are_parts_of_the_first_grid(clear_set: PhantomSet, caps: tuple[float, float], most: tuple) -> None:
    """Of 576 rotations and 5 shifts; one and, unless the plan says otherwise, eight at least."""
    plan = replace(PLAN, orientation_cap=caps[0], shift_cap=caps[1], fewest_shifts=caps[2])
    assert pose_problem(clear_set).searcher(plan).most == most


def test_caps_bite_and_are_counted(problem: Problem) -> None:
    tight = replace(PLAN, orientation_cap=4 / 576)
    found = search_poses(problem.observations, problem.searcher(tight))
    assert bool(found.capped[:, 0, 0].any())
    # four orientations, at most eight shifts each, 32 children
    assert int(found.evaluated[:, 1:].max()) <= 4 * 8 * 32
    free = replace(PLAN, orientation_cap=1.0, shift_cap=100.0)
    assert not bool(search_poses(problem.observations, problem.searcher(free)).capped.any())


def test_the_published_grid_finds_the_same(problem: Problem) -> None:
    """Axis-angle cells instead of equal volumes: other poses, as good a best one."""
    plan = replace(PLAN, grid="axis-angle", first_spacing=30.0, final_spacing=4.0)
    hopf = search_poses(problem.observations, problem.searcher(replace(PLAN, final_spacing=4.0)))
    axis_angle = search_poses(problem.observations, problem.searcher(plan))
    angle = angular_distance(hopf.rotation.double(), axis_angle.rotation.double())
    assert float((angle < 2 * 3.75).float().mean()) > 0.9


def test_an_incumbent_from_the_way_down_excludes_more(problem: Problem) -> None:
    """Cells have to reach the score of a pose that exists: the better it is, the more of them cannot."""
    plan = replace(PLAN, first_radius=5.0, bound=BoundSettings(cell_reach=0.0))

    def first(plan: BranchPlan) -> StageResult:
        searcher, nothing = problem.searcher(plan), torch.full((IMAGES,), -torch.inf)
        return search_stage(whole_grid(searcher.rotations, IMAGES), nothing, problem.observations, searcher, 0)

    found, published = first(plan), first(replace(plan, incumbent="best-cell"))
    ours, theirs = found.counts["bounded"], published.counts["bounded"]
    assert bool((ours <= theirs).all())
    assert int(ours.sum()) < 0.8 * int(theirs.sum())
    assert bool((found.incumbent >= published.incumbent).all())
    poses, first_class = problem.particles.poses, torch.zeros(IMAGES, dtype=torch.long)
    truth = Candidates(torch.arange(IMAGES), first_class, poses.rotations[:IMAGES], poses.shifts[:IMAGES])
    at_truth = score_candidates(truth, problem.observations, problem.model, problem.disc, torch.zeros(1, 2)).log_joint
    # it is the score of a pose: what noise can make of the best of all is a few nats
    assert float((found.incumbent - at_truth[:, 0]).max()) < 20


def test_what_bound_and_caps_keep_is_counted_apart(problem: Problem) -> None:
    found = search_poses(problem.observations, problem.searcher(replace(PLAN, orientation_cap=4 / 576)))
    assert torch.equal(found.evaluated[:, 1:], 32 * found.kept[:, :-1])
    assert bool((found.kept <= found.bounded).all())
    assert bool((found.bounded <= found.evaluated).all())
    assert torch.equal(found.capped.any(2), found.kept < found.bounded)
    assert bool((found.kept[:, 0] < found.bounded[:, 0]).any())


def test_the_published_plan() -> None:
    """Eight evaluations, L from 12, steps from 24 degrees and 5 pixels: as printed."""
    plan = BranchPlan(
        final_spacing=1.0, final_step=0.2, shift_extent=6.0, grid="axis-angle", first_spacing=24.0, subdivisions=7
    )
    stages = plan.stages(60.0)
    assert [s.radius for s in stages] == [12.0, 24.0, 48.0, 60.0, 60.0, 60.0, 60.0, 60.0]
    assert (stages[-1].spacing, stages[-1].step) == (24 / 128, 5 / 128)
    assert len(plan.rotations()) == 2463


@settings(deadline=None, max_examples=60)
@given(
    final=st.floats(0.1, 20),
    step=st.floats(0.05, 6),
    radius=st.floats(8, 60),
    grid=st.sampled_from(["equal-volume", "axis-angle"]),
)
def test_stages_subdivide_down_to_what_was_asked(final: float, step: float, radius: float, grid: str) -> None:
    stages = BranchPlan(final_spacing=final, final_step=step, shift_extent=5.0, grid=grid, first_spacing=24.0).stages(
        radius
    )
    first = 15.0 if grid == "equal-volume" else 24.0
    assert [s.spacing for s in stages] == [first / 2**n for n in range(len(stages))]
    assert [s.step for s in stages] == [5.0 / 2**n for n in range(len(stages))]
    assert stages[-1].spacing <= final * (1 + 1e-6)
    assert stages[-1].step <= step * (1 + 1e-6)
    assert len(stages) == 1 or stages[-2].spacing > final * (1 - 1e-6) or stages[-2].step > step * (1 - 1e-6)
    assert [s.radius for s in stages[:-1]] == [min(12.0 * 2**n, radius) for n in range(len(stages) - 1)]
    assert stages[-1].radius == radius
