"""Refinement of poses: known poses found again, statistics those of known poses, whatever the batches."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryorbit.core.data import Poses
from cryorbit.evaluation.classes import class_accuracy
from cryorbit.fourier.interpolation import join_mates
from cryorbit.geometry.point_groups import point_group
from cryorbit.geometry.rotations import angular_distance
from cryorbit.geometry.shift_grid import disc_grid
from cryorbit.inference import local_search
from cryorbit.inference.band import Band
from cryorbit.inference.candidates import Candidates, score_candidates
from cryorbit.inference.exact_sums import exact_sums
from cryorbit.inference.global_search import coarse_cells, coarse_grid, coarse_spacing
from cryorbit.inference.local_search import Descent, Refinement, cells_of, descend, refine_poses
from cryorbit.inference.pose_estimates import PoseEstimates
from cryorbit.inference.pose_grid import PoseGrid
from cryorbit.inference.pose_levels import Level, levels_for
from cryorbit.inference.pose_space import PoseSpace
from cryorbit.inference.reconstruction import KnownPoses, reconstruct
from cryorbit.inference.statistics import VolumeStatistics, symmetrised, volume_statistics
from cryorbit.volumes.voxel import resample, working_grid
from phantom_sets import PhantomSet

RADIUS, COARSE_RADIUS, SHIFT_STEP, DIAMETER_PX = 10.0, 6.0, 1.5, 20.0
SPACE = PoseSpace(4.0)
LEVELS = levels_for(RADIUS, coarse_spacing(15), SHIFT_STEP, DIAMETER_PX, 32, 12)


def find_cells(particles: PhantomSet, volumes: torch.Tensor, at_most: int = 8) -> Candidates:
    """Coarse cells of all particles on the grid of 15 degrees."""
    coarse = particles.band(COARSE_RADIUS)
    observations = particles.source.observe(particles.everything, coarse.disc, coarse.noise_variance)
    working = resample(volumes, coarse.grid.size)
    shifts = disc_grid(4.0, SHIFT_STEP).float()
    poses = PoseGrid(coarse_grid(15, len(volumes), working), shifts)
    return coarse_cells(observations, working, poses, coarse, at_most)


def refined(
    particles: PhantomSet, cells: Candidates, symmetry: torch.Tensor | None = None
) -> tuple[VolumeStatistics, PoseEstimates]:
    refinement = Refinement(Descent(LEVELS, PoseSpace(4.0, symmetry), local=True), particles.everything % 2)
    return one_pass(particles, particles.everything, cells, particles.band(RADIUS), refinement)


def one_pass(
    particles: PhantomSet, index: torch.Tensor, cells: Candidates, band: Band, refinement: Refinement
) -> tuple[VolumeStatistics, PoseEstimates]:
    volume = particles.working(RADIUS)
    sums = exact_sums(band, len(index), 2, len(volume), torch.device("cpu"))
    estimates, terms = refine_poses(particles.source, index, cells, volume, band, refinement, sums)
    return volume_statistics(sums, terms, particles.source.shards), estimates


@pytest.fixture(scope="module")
def cells(clear_set: PhantomSet) -> Candidates:
    """The eight rotations of the grid nearest to the truth, and the nearest shift of the lattice, of every image."""
    grid = coarse_grid(15, 1, clear_set.volumes)[0]
    trace = clear_set.poses.rotations.flatten(1) @ grid.flatten(1).mT
    count = len(clear_set.source)
    nearest = trace.topk(8).indices.flatten()
    centre = (clear_set.poses.shifts / SHIFT_STEP).round() * SHIFT_STEP
    return Candidates(
        torch.arange(count).repeat_interleave(8),
        torch.zeros_like(nearest),
        grid[nearest],
        centre.repeat_interleave(8, 0),
    )


@settings(deadline=None, max_examples=60)
@given(radius=st.floats(4, 60), spacing=st.sampled_from([60.0, 30.0, 15.0, 7.5]), diameter=st.floats(20, 100))
def test_levels_halve_down_to_what_the_radius_tells_apart(radius: float, spacing: float, diameter: float) -> None:
    levels = levels_for(radius, spacing, 2.0, diameter, 128, 12)
    finest = math.degrees(0.7 * 128 / (diameter * radius))
    assert [level.spacing for level in levels] == [spacing / 2 ** (n + 1) for n in range(len(levels))]
    assert [level.shift_step for level in levels] == [2.0 / 2 ** (n + 1) for n in range(len(levels))]
    assert levels[-1].spacing <= finest
    assert all(level.spacing > finest for level in levels[:-1])
    assert levels[-1].radius == radius
    radii = [level.radius for level in levels]
    assert radii == sorted(radii)
    assert radii[0] >= 0.5 * radius


def test_levels_are_scored_as_far_as_their_rotations_tell_coefficients_apart() -> None:
    """``1.2 N / (D a)`` at 7.5 degrees, half the final radius at least, and that radius at the last."""
    levels = levels_for(20.0, 30.0, 2.0, 60.0, 128, 12)
    assert [level.spacing for level in levels] == [15, 7.5, 3.75]
    assert [level.radius for level in levels] == pytest.approx([10, 1.2 * 128 / (60 * math.radians(7.5)), 20])
    assert all((level.at_most, level.keep_nats) == (12, 10) for level in levels)


def test_coarse_cells_hold_the_truth(clear_set: PhantomSet) -> None:
    images, cells = len(clear_set.source), find_cells(clear_set, clear_set.volumes)
    counts = torch.bincount(cells.image, minlength=images)
    assert 1 <= int(counts.min()) <= int(counts.max()) <= 8
    assert torch.equal(cells.image, cells.image.sort().values)
    distance = angular_distance(cells.rotation.double(), clear_set.poses.rotations[cells.image].double())
    nearest = torch.full((images,), 180.0).double().scatter_reduce(0, cells.image, distance, "amin")
    assert float((nearest < coarse_spacing(15)).float().mean()) > 0.9
    offset = (cells.centre - clear_set.poses.shifts[cells.image]).norm(dim=1)
    assert float(offset[distance == nearest[cells.image]].median()) < SHIFT_STEP


def test_images_fit_their_slices_as_strongly_as_they_were_simulated(clear_set: PhantomSet, cells: Candidates) -> None:
    _, found = refined(clear_set, cells)
    contrast = found.overlap / found.model_power
    assert float(contrast.median()) == pytest.approx(1, abs=0.05)
    assert float((contrast - 1).abs().quantile(0.9)) < 0.2
    assert bool((found.model_power > 0).all())


def test_known_poses_are_found_again(clear_set: PhantomSet, cells: Candidates) -> None:
    _, found = refined(clear_set, cells)
    finest = LEVELS[-1]
    angle = angular_distance(found.rotation.double(), clear_set.poses.rotations.double()) / finest.spacing
    shift = (found.shift - clear_set.poses.shifts).norm(dim=1) / finest.shift_step
    assert float(angle.median()) < 0.7
    assert float(angle.quantile(0.9)) < 1.2
    assert float(shift.quantile(0.95)) < 0.9
    assert bool((found.log_evidence > 0).all())


def test_estimates_describe_their_posteriors(clear_set: PhantomSet, cells: Candidates) -> None:
    statistics, found = refined(clear_set, cells)
    count = len(clear_set.source)
    torch.testing.assert_close(found.class_posterior, torch.ones(count, 1), rtol=0, atol=1e-4)
    # for weights g of sum one, max(g)^2 <= sum g^2 <= max(g)
    concentration = 1 / found.effective
    assert bool((found.max_probability**2 <= concentration * (1 + 1e-4)).all())
    assert bool((concentration <= found.max_probability * (1 + 1e-4)).all())
    assert float(statistics.log_evidence) == pytest.approx(float(found.log_evidence.double().sum()), rel=1e-6)
    # noise alone leaves 2 a coefficient and image, the finite grid of poses a little more
    coefficients = len(clear_set.band(RADIUS).disc)
    assert float(statistics.residual.sum() / statistics.images) / coefficients == pytest.approx(2.0, rel=0.04)


def test_the_evidence_is_a_mean_over_all_poses_of_the_finest_grid(two_class_set: PhantomSet) -> None:
    """Of both classes; each orientation has the nine shifts within a step and a half of its centre."""
    cells = cells_of(find_cells(two_class_set, two_class_set.volumes), slice(3, 8))
    assert cells.image.unique().tolist() == [0, 1, 2, 3, 4]
    band, finest = two_class_set.band(RADIUS), LEVELS[-1]
    model = band.grid.model(two_class_set.working(RADIUS))
    seen = two_class_set.source.observe(torch.arange(3, 8), band.disc, band.noise_variance)
    found, posterior, lattice = descend(cells, seen, model, band, Descent(LEVELS, SPACE))
    step = finest.shift_step
    assert sorted(lattice.tolist()) == [[x, y] for x in (-step, 0, step) for y in (-step, 0, step)]
    scores = score_candidates(found, seen, model, band.disc, lattice).log_joint.double()
    each = torch.stack([scores[found.image == image].flatten().logsumexp(0) for image in range(5)])
    poses = 2 * SPACE.count(finest.spacing, step)
    torch.testing.assert_close(posterior.log_evidence.double(), each - math.log(poses), rtol=0, atol=1e-3)


def test_classes_are_told_apart(two_class_set: PhantomSet) -> None:
    cells = find_cells(two_class_set, two_class_set.volumes, at_most=16)
    statistics, found = refined(two_class_set, cells)
    assert class_accuracy(found.klass, two_class_set.classes) > 0.9
    assert class_accuracy(found.class_posterior.argmax(1), two_class_set.classes) > 0.9
    # candidates of little posterior are drawn
    torch.testing.assert_close(statistics.class_mass, found.class_posterior.double().sum(0), rtol=5e-3, atol=0)


def test_every_class_has_cells_and_a_best_pose_of_its_own(two_class_set: PhantomSet) -> None:
    """The second map is turned: its poses are found all the same, by turned cells and in turned estimates."""
    turned = two_class_set.volumes.clone()
    # a quarter of a turn about z takes the axes (x, y) to (y, -x)
    turned[1] = turned[1].transpose(1, 2).flip(1).roll(1, 1)
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    particles = replace(two_class_set, volumes=turned)
    cells = find_cells(particles, turned)
    images = len(particles.source)
    for klass in (0, 1):
        counts = torch.bincount(cells.image[cells.klass == klass], minlength=images)
        assert 1 <= int(counts.min()) <= int(counts.max()) <= 8
    _, found = refined(particles, cells)
    assert class_accuracy(found.klass, particles.classes) > 0.9
    every = torch.arange(images)
    assert torch.equal(found.class_rotation[every, found.klass], found.rotation)
    assert torch.equal(found.class_shift[every, found.klass], found.shift)
    true = particles.poses.rotations
    for klass, frame in enumerate((torch.eye(3), quarter)):
        mine = particles.classes == klass
        distance = angular_distance(found.class_rotation[mine, klass].double(), (true[mine] @ frame).double())
        assert float(distance.median()) < 2 * LEVELS[-1].spacing


def test_symmetric_poses_count_for_every_operator(clear_set: PhantomSet, cells: Candidates) -> None:
    """With a two-fold axis the statistics are those without it plus those of the turned poses."""
    group = point_group("C2")
    plain, _ = refined(clear_set, cells)
    both, _ = refined(clear_set, cells, group)
    both = symmetrised(both, group, working_grid(32, RADIUS))
    # half a turn about z takes (x, y, z) to (-x, -y, z): in Fourier space the grid itself is turned
    (turned,) = [join_mates(plain.weight)[0, 0, :, :, 0]]
    mate = turned.flip(1).roll(1, 1)
    symmetric = join_mates(both.weight)[0, 0, :, :, 0]
    torch.testing.assert_close(symmetric, turned + mate, rtol=1e-3, atol=1e-4 * float(symmetric.max()))


def test_batches_do_not_change_results(
    clear_set: PhantomSet, cells: Candidates, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_statistics, whole = refined(clear_set, cells)
    monkeypatch.setattr(local_search, "LARGEST_BATCH", 17)
    statistics, parts = refined(clear_set, cells)
    for name in PoseEstimates.__slots__:
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name), rtol=1e-3, atol=1e-3)
    for name in VolumeStatistics.__slots__:
        ours, theirs = getattr(statistics, name), getattr(whole_statistics, name)
        assert (ours - theirs).norm() <= 1e-4 * theirs.norm()


def test_statistics_of_sharp_posteriors_are_those_of_known_poses(clear_set: PhantomSet) -> None:
    """Noise set far too low leaves one pose to each image; its statistics are the reconstruction's."""
    cells = find_cells(clear_set, clear_set.volumes, at_most=1)
    quiet = clear_set.band(RADIUS)
    quiet = Band(quiet.grid, quiet.disc, 1e-3 * quiet.noise_variance)
    half = clear_set.everything % 2
    levels = [Level(level.spacing, level.shift_step, level.radius, at_most=1) for level in LEVELS]
    _, found = one_pass(clear_set, clear_set.everything, cells, quiet, Refinement(Descent(levels, SPACE), half))
    assert float((found.max_probability > 0.999).float().mean()) > 0.95
    sure = found.max_probability > 0.999
    index = torch.nonzero(sure)[:, 0]
    kept = cells[sure[cells.image]]
    kept = replace(kept, image=torch.searchsorted(index, kept.image))
    ours, found = one_pass(clear_set, index, kept, quiet, Refinement(Descent(levels, SPACE), half[index]))
    known = KnownPoses(Poses(found.rotation, found.shift), found.klass, half[index], torch.ones(len(index)))
    theirs = reconstruct(clear_set.source, index, known, quiet, 1)
    assert (ours.weight - theirs.weight).norm() < 1e-3 * theirs.weight.norm()
    assert (ours.data - theirs.data).norm() < 5e-3 * theirs.data.norm()
    torch.testing.assert_close(ours.class_mass, theirs.class_mass, rtol=1e-3, atol=0)
    assert float(ours.images) == float(theirs.images) == len(index)


def test_images_may_be_inserted_at_their_best_poses_alone(clear_set: PhantomSet, cells: Candidates) -> None:
    half = clear_set.everything % 2
    refinement = Refinement(Descent(LEVELS, SPACE, local=True), half, best_only=True)
    band = clear_set.band(RADIUS)
    ours, found = one_pass(clear_set, clear_set.everything, cells, band, refinement)
    known = KnownPoses(Poses(found.rotation, found.shift), found.klass, half, torch.ones(len(half)))
    theirs = reconstruct(clear_set.source, clear_set.everything, known, band, 1)
    assert float(found.max_probability.median()) < 0.9
    for one, other in ((ours.data, theirs.data), (ours.weight, theirs.weight)):
        assert (one - other).norm() < 1e-5 * other.norm()
    assert float(ours.class_mass) == len(half)
    broad, _ = one_pass(clear_set, clear_set.everything, cells, band, replace(refinement, best_only=False))
    assert (broad.weight - ours.weight).norm() > 0.01 * ours.weight.norm()
    assert not Refinement(refinement.descent, half).best_only
