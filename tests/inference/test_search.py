"""Stochastic steps: the likelihood rises on a fixed batch, classes are mixed and kept alive, states change box."""

import math

import pytest
import torch

from cryorbit.geometry.shift_grid import disc_grid
from cryorbit.geometry.so3_grid import paired_grid
from cryorbit.imaging.masks import soft_ball
from cryorbit.imaging.observations import Observations
from cryorbit.inference import search
from cryorbit.inference.constraints import centre_offset
from cryorbit.inference.marginal import Posterior, SliceStatistics, pose_posterior
from cryorbit.inference.random_start import random_blobs
from cryorbit.inference.search import (
    DiagonalPreconditioner,
    LargestCurvature,
    PoseGrid,
    SearchState,
    StepReport,
    StepRule,
    StepSettings,
    class_mass,
    mix_classes,
    resized,
    search_step,
)
from phantom_sets import PhantomSet

RADIUS = 5.0
WHOLE_STEP = StepSettings(momentum=0.0, rate=1.0, positive=False)


class Problem:
    """A fixed batch, a fixed grid of poses, and random volumes to start from."""

    def __init__(self, particles: PhantomSet, classes: int, images: int = 60) -> None:
        self.domain = particles.domain(RADIUS)
        self.observations: Observations = particles.source.observe(
            torch.arange(images), self.domain.disc, self.domain.noise_variance
        )
        rotations = paired_grid(1).float().expand(classes, -1, 3, 3)
        self.poses = PoseGrid(rotations, disc_grid(2.0, 2.0).float())
        size = self.domain.grid.size
        self.window = soft_ball(size, 0.4 * size, 2.0)
        starts = [random_blobs(size, 0.35 * size, torch.Generator().manual_seed(seed)) for seed in range(classes)]
        scale = particles.volumes.max() / torch.stack(starts).max()
        volume = 0.3 * scale * torch.stack(starts) * self.window
        self.start = SearchState(volume, torch.zeros_like(volume))

    def step(self, state: SearchState, rule: StepRule, settings: StepSettings) -> tuple[SearchState, StepReport]:
        """One step on the batch."""
        domain = (self.domain.grid, self.domain.disc, self.window)
        return search_step(state, self.observations, self.poses, domain, rule, settings)


@pytest.mark.parametrize("classes", [1, 2])
@pytest.mark.parametrize("rule", [DiagonalPreconditioner(), LargestCurvature()], ids=["preconditioned", "largest"])
def test_whole_steps_on_a_fixed_batch_never_lose_likelihood(
    rule: StepRule, classes: int, clear_set: PhantomSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both curvatures majorise: a step of rate 1 without momentum is an M-step or a shorter one.

    Centring is left out: it moves maps by whole voxels, more than a step of the grid of shifts can follow.
    """
    monkeypatch.setattr(search, "rolled", lambda volume, _: volume)
    problem = Problem(clear_set, classes)
    state, likelihoods = problem.start, []
    for _ in range(7):
        state, report = problem.step(state, rule, WHOLE_STEP)
        likelihoods.append(report.log_likelihood)
    gains = torch.tensor(likelihoods).diff()
    assert float(gains.min()) > 0
    assert likelihoods[-1] > likelihoods[0] + 10


def test_dividing_by_the_weights_is_faster(clear_set: PhantomSet) -> None:
    problem = Problem(clear_set, 1)
    reached = []
    for rule in (DiagonalPreconditioner(), LargestCurvature()):
        state = problem.start
        for _ in range(5):
            state, report = problem.step(state, rule, WHOLE_STEP)
        reached.append(report.log_likelihood)
    assert reached[0] > reached[1] + 5


def test_rate_and_momentum_make_the_step(clear_set: PhantomSet) -> None:
    problem = Problem(clear_set, 1)
    whole, _ = problem.step(problem.start, DiagonalPreconditioner(), WHOLE_STEP)
    settings = StepSettings(momentum=0.75, rate=0.0, positive=False)
    still, _ = problem.step(problem.start, DiagonalPreconditioner(), settings)
    torch.testing.assert_close(still.velocity, 0.25 * whole.velocity)
    moving = SearchState(problem.start.volume, torch.ones_like(problem.start.velocity))
    carried, _ = problem.step(moving, DiagonalPreconditioner(), settings)
    torch.testing.assert_close(carried.velocity, 0.75 + 0.25 * whole.velocity)
    # without a rate only the constraints act
    assert float((still.volume - problem.start.volume).norm()) < 0.05 * float(problem.start.volume.norm())


def test_constraints_hold_after_a_step(clear_set: PhantomSet) -> None:
    problem = Problem(clear_set, 1)
    state, report = problem.step(problem.start, DiagonalPreconditioner(), StepSettings(momentum=0.0))
    assert float(state.volume.min()) >= 0
    assert float(centre_offset(state.volume).abs().max()) <= 0.5 + 1e-3
    assert report.effective >= 1
    assert float(report.class_fractions) == pytest.approx(1, abs=1e-4)


def test_a_map_that_is_off_the_centre_is_moved_there_with_its_velocity(clear_set: PhantomSet) -> None:
    problem = Problem(clear_set, 1)
    start = problem.start.volume
    mass = torch.zeros_like(start)
    middle = start.shape[-1] // 2
    mass[0, middle - 1, middle + 2, middle + 3] = float(start.max())
    before = SearchState(mass, mass + 1)
    kept = StepSettings(momentum=1.0, rate=0.0)
    after, _ = problem.step(before, DiagonalPreconditioner(), kept)
    assert float(after.volume[0, middle, middle, middle]) == float(after.volume.max()) > 0
    assert torch.equal(after.velocity, torch.roll(before.velocity, (1, -2, -3), (1, 2, 3)))


@pytest.mark.parametrize(("share", "moves"), [(1e-4, False), (1e-2, True)])
def test_a_class_with_hardly_any_mass_makes_no_step(
    clear_set: PhantomSet, monkeypatch: pytest.MonkeyPatch, share: float, moves: bool
) -> None:
    problem = Problem(clear_set, 2)
    slices = 2 * problem.poses.rotations.shape[1]

    def uneven(*_: object) -> SliceStatistics:
        weight = torch.ones(slices, len(problem.domain.disc))
        weight[slices // 2 :] *= share
        return SliceStatistics(weight.to(torch.complex64), weight)

    monkeypatch.setattr(search, "slice_statistics", uneven)
    after, _ = problem.step(problem.start, DiagonalPreconditioner(), WHOLE_STEP)
    assert bool(after.velocity[0].any())
    assert bool(after.velocity[1].any()) == moves


def test_residual_power_falls_to_that_of_the_noise(clear_set: PhantomSet) -> None:
    problem = Problem(clear_set, 1)
    state = problem.start
    powers = []
    for _ in range(8):
        state, report = problem.step(state, DiagonalPreconditioner(), WHOLE_STEP)
        powers.append(float(report.residual.mean()) / len(problem.observations))
    assert powers[-1] < 0.7 * powers[0]
    # a poor map on a coarse grid leaves signal in the residuals: they cannot fall below the noise by much
    assert powers[-1] > 1.8


def test_a_class_without_images_is_left_as_it_is(clear_set: PhantomSet) -> None:
    problem = Problem(clear_set, 2)
    volume = problem.start.volume.clone()
    # the second class contradicts every image
    volume[1] *= -300
    before = SearchState(volume, torch.zeros_like(volume))
    after, report = problem.step(before, DiagonalPreconditioner(), WHOLE_STEP)
    assert report.class_fractions.tolist() == pytest.approx([1, 0], abs=1e-4)
    assert not after.velocity[1].any()
    assert after.velocity[0].any()


def posterior_of_three_images() -> Posterior:
    """Two classes of five slices: images in the first, in both, and in the second."""
    return Posterior(
        image=torch.tensor([0, 0, 1, 1, 2]),
        slice=torch.tensor([0, 4, 1, 7, 9]),
        shift=torch.zeros(5, dtype=torch.long),
        gamma=torch.tensor([0.25, 0.75, 0.9, 0.1, 1.0]),
        log_evidence=torch.zeros(3),
        effective=torch.ones(3),
    )


def test_mixing_spreads_the_class_posterior_and_nothing_else() -> None:
    posterior = posterior_of_three_images()
    mass = class_mass(posterior, 5, 2, 3)
    torch.testing.assert_close(mass, torch.tensor([[1.0, 0], [0.9, 0.1], [0, 1.0]]))
    mixed = mix_classes(posterior, mass, 5, 0.2)
    after = class_mass(mixed, 5, 2, 3)
    # where a class has no pose at all there is nothing to weigh up
    torch.testing.assert_close(after, torch.tensor([[0.9, 0], [0.82, 0.18], [0, 0.9]]))
    torch.testing.assert_close(mixed.gamma[:2] / posterior.gamma[:2], torch.full((2,), 0.9))
    assert mix_classes(posterior, mass, 5, 0.0) is posterior


def test_mixing_keeps_the_sum_of_posteriors(clear_set: PhantomSet) -> None:
    problem = Problem(clear_set, 1, images=10)
    per_class, slices = 20, torch.randn(40, len(problem.domain.disc), dtype=torch.complex64) * 0.01
    prior = torch.full((40,), -math.log(40))
    phases = torch.ones(1, len(problem.domain.disc), dtype=torch.complex64)
    posterior = pose_posterior(problem.observations, slices, phases, prior)
    mass = class_mass(posterior, per_class, 2, 10)
    mixed = mix_classes(posterior, mass, per_class, 0.5)
    expected = 0.5 * mass + 0.25
    torch.testing.assert_close(class_mass(mixed, per_class, 2, 10), expected, rtol=1e-4, atol=1e-5)


def test_a_state_changes_its_box(clear_set: PhantomSet) -> None:
    problem = Problem(clear_set, 1)
    size = problem.start.volume.shape[-1]
    larger = resized(problem.start, size + 4)
    assert larger.volume.shape == larger.velocity.shape == (1, size + 4, size + 4, size + 4)
    assert resized(problem.start, size) is problem.start
    assert float(larger.volume.mean()) == pytest.approx(float(problem.start.volume.mean()), rel=1e-4)
