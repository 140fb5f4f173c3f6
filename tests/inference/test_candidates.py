"""Candidate poses of each image: scores equal brute force, pruning keeps what matters, posteriors sum to one."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryorbit.fourier.half_disc import half_disc
from cryorbit.geometry.rotations import angular_distance, random_rotations
from cryorbit.geometry.shift_grid import disc_grid
from cryorbit.geometry.so3_grid import subdivide
from cryorbit.imaging.observations import observe
from cryorbit.imaging.shifts import shift_phases
from cryorbit.imaging.slices import SliceOperator
from cryorbit.imaging.transfer import Transfer
from cryorbit.inference.candidates import (
    CLASS_NATS,
    Candidates,
    CandidateScores,
    at_best_pose,
    in_every_class,
    normalise,
    prune,
    score_candidates,
    subdivided,
    thinned,
)
from cryorbit.volumes.voxel import VoxelGrid

BOX, RADIUS = 16, 5
COUNTS = (3, 7, 1, 5)
"""Candidates of each image."""


@pytest.fixture
def candidates(generator: torch.Generator) -> Candidates:
    image = torch.arange(len(COUNTS)).repeat_interleave(torch.tensor(COUNTS))
    rotations = random_rotations(len(image), generator).float()
    klass = torch.randint(2, (len(image),), generator=generator)
    centre = torch.randn(len(image), 2, generator=generator)
    # some share a centre with the one before them
    centre[1::3] = centre[::3][: len(centre[1::3])]
    return Candidates(image, klass, rotations, centre)


@pytest.fixture
def scores(candidates: Candidates, generator: torch.Generator) -> CandidateScores:
    log_joint = 100 + 3 * torch.randn(len(candidates.image), 5, generator=generator)
    return CandidateScores(log_joint, disc_grid(1.0, 1.0).float())


def test_scores_equal_brute_force(candidates: Candidates, generator: torch.Generator) -> None:
    """Each log-likelihood from its own slice and its own shift, two classes, a centre for each candidate."""
    disc, grid = half_disc(BOX, RADIUS), VoxelGrid(BOX, BOX)
    volumes = torch.randn(2, BOX, BOX, BOX, generator=generator)
    transform = torch.randn(len(COUNTS), len(disc), dtype=torch.complex64, generator=generator)
    ctf = torch.rand(len(COUNTS), len(disc), generator=generator)
    observations = observe(transform, Transfer(ctf), torch.ones(len(disc)))
    lattice = disc_grid(1.0, 0.5).float()
    scores = score_candidates(candidates, observations, grid.model(volumes), disc, lattice)
    assert torch.equal(scores.lattice, lattice)
    for e, (b, k) in enumerate(zip(candidates.image.tolist(), candidates.klass.tolist(), strict=True)):
        (slice_,) = SliceOperator(grid, disc, candidates.rotation[e : e + 1]).project(volumes[k])
        moved = transform[b] * shift_phases(candidates.centre[e] + lattice, disc)
        residual = ((moved - ctf[b] * slice_).abs() ** 2).sum(1)
        expected = (transform[b].abs() ** 2).sum() - residual
        torch.testing.assert_close(scores.log_joint[e], expected, rtol=1e-4, atol=1e-3)


def test_images_are_counted_to_the_last_that_has_a_candidate(candidates: Candidates) -> None:
    assert candidates.images == 4
    assert candidates[:11].images == 3, "the third image has a single one"


@pytest.mark.parametrize(("keep_nats", "at_most"), [(1e9, 2), (2.5, 100), (4.0, 3)])
def test_pruning_keeps_the_best_of_every_class_of_an_image(
    candidates: Candidates, scores: CandidateScores, keep_nats: float, at_most: int
) -> None:
    kept = prune(candidates, scores, keep_nats, at_most)
    marginal = torch.logsumexp(scores.log_joint, 1)
    expected = []
    for b, k in itertools.product(range(len(COUNTS)), candidates.klass.unique().tolist()):
        top = marginal[candidates.image == b].max()
        mine = torch.nonzero((candidates.image == b) & (candidates.klass == k))[:, 0]
        order = mine[marginal[mine].argsort(descending=True)][:at_most].tolist()
        near = [e for e in order if marginal[e] > marginal[order[0]] - keep_nats]
        expected += [e for e in near if marginal[order[0]] > top - CLASS_NATS]
    expected.sort()
    assert kept.image.tolist() == candidates.image[expected].tolist()
    assert torch.equal(kept.rotation, candidates.rotation[expected])
    assert torch.equal(kept.klass, candidates.klass[expected])


@pytest.mark.parametrize(("behind", "stays"), [(29.0, True), (31.0, False)])
def test_a_class_far_behind_an_images_best_is_given_up_for_that_image_alone(behind: float, stays: bool) -> None:
    image, klass = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    both = Candidates(image, klass, torch.eye(3).expand(4, 3, 3), torch.zeros(4, 2))
    log_joint = torch.tensor([[0.0], [-behind], [0.0], [-1.0]])
    kept = prune(both, CandidateScores(log_joint, torch.zeros(1, 2)), 1.0, 1)
    assert kept.image.tolist() == ([0, 0, 1, 1] if stays else [0, 1, 1])


def test_pruning_moves_centres_to_the_best_shift(candidates: Candidates, scores: CandidateScores) -> None:
    kept = prune(candidates, scores, 1e9, 100)
    assert torch.equal(kept.rotation, candidates.rotation)
    best = scores.lattice[scores.log_joint.argmax(1)]
    torch.testing.assert_close(kept.centre, candidates.centre + best)


def test_children_fill_the_cell_of_their_parent(candidates: Candidates) -> None:
    spacing = 10.0
    children = subdivided(candidates, subdivide(candidates.rotation, spacing))
    assert torch.equal(children.image, candidates.image.repeat_interleave(8))
    assert torch.equal(children.klass, candidates.klass.repeat_interleave(8))
    assert torch.equal(children.centre, candidates.centre.repeat_interleave(8, 0))
    parents = candidates.rotation.double().repeat_interleave(8, 0)
    distance = angular_distance(children.rotation.double(), parents)
    # +- a quarter of the spacing along three axes
    torch.testing.assert_close(
        distance, torch.full_like(distance, math.sqrt(3) * spacing / 4), rtol=0, atol=1e-3 * spacing
    )
    family = children.rotation.double().unflatten(0, (-1, 8))
    between = angular_distance(family[:, :, None], family[:, None]) + 100 * torch.eye(8)
    assert abs(float(between.min()) - spacing / 2) < 0.02 * spacing


def test_orientations_in_every_class(candidates: Candidates) -> None:
    every = in_every_class(candidates, 3)
    assert torch.equal(every.image, every.image.sort().values)
    for k in range(3):
        mine = every.klass == k
        assert torch.equal(every.centre[mine], candidates.centre)
        assert torch.equal(every.image[mine], candidates.image)
        assert torch.equal(every.rotation[mine], candidates.rotation)


def test_the_best_pose_takes_all_the_weight(candidates: Candidates, scores: CandidateScores) -> None:
    gamma = normalise(candidates, scores, 1000.0).gamma
    hard = at_best_pose(candidates, gamma)
    for b in range(len(COUNTS)):
        mine = candidates.image == b
        assert torch.equal(hard[mine], (gamma[mine] == gamma[mine].max()).float())


@settings(deadline=None, max_examples=50)
@given(least=st.floats(0.01, 0.5), sharpness=st.floats(0.1, 5), seed=st.integers(0, 2**16))
def test_thinning_moves_small_weights_to_few_and_keeps_their_sum(least: float, sharpness: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    images, each = 20, 30
    joint = torch.softmax(sharpness * torch.randn(images, each, 4, generator=generator).flatten(1), 1)
    gamma, mass = joint.reshape(-1, 4), joint.reshape(images, each, 4).sum(2)
    image = torch.arange(images).repeat_interleave(each)
    cells = Candidates(
        image, torch.zeros_like(image), torch.eye(3).expand(len(image), 3, 3), torch.zeros(len(image), 2)
    )
    kept = thinned(cells, gamma, least, torch.rand(images, generator=generator))
    left = kept.sum(1).reshape(images, each)
    large = mass >= least
    torch.testing.assert_close(left[large], mass[large], rtol=0, atol=0)
    drawn = left[~large & (left > 0)]
    torch.testing.assert_close(drawn, torch.full_like(drawn, least))
    # over any run of an image's candidates, what was drawn is what there was, to within one of them
    assert float((left.cumsum(1) - mass.cumsum(1)).abs().max()) <= least + 1e-4
    live = left.flatten() > 0
    proportions = gamma[live] / mass.flatten()[live, None]
    torch.testing.assert_close(kept[live] / left.flatten()[live, None], proportions)


def test_thinning_keeps_expectations(candidates: Candidates, scores: CandidateScores) -> None:
    gamma = normalise(candidates, scores, 1000.0).gamma
    ticks = (torch.arange(1000) + 0.5) / 1000
    mean = torch.stack([thinned(candidates, gamma, 0.3, t.expand(candidates.images)) for t in ticks]).mean(0)
    torch.testing.assert_close(mean, gamma, rtol=0.02, atol=1e-3)


def test_posteriors_sum_to_one_and_the_evidence_is_a_mean(candidates: Candidates, scores: CandidateScores) -> None:
    posterior = normalise(candidates, scores, 1000.0)
    for b in range(len(COUNTS)):
        joint = scores.log_joint[candidates.image == b].double()
        assert float(posterior.gamma[candidates.image == b].sum()) == pytest.approx(1, abs=1e-5)
        evidence = float(torch.logsumexp(joint.flatten(), 0)) - math.log(1000)
        assert float(posterior.log_evidence[b]) == pytest.approx(evidence, abs=1e-4)
        expected = torch.softmax(joint.flatten(), 0).reshape(joint.shape)
        mine = posterior.gamma[candidates.image == b].double()
        torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1.01e-7)
