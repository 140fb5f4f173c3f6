"""Two volumes searched together: one step worked out by hand, over all poses and classes at once; and a prior."""

import math
from dataclasses import replace

import pytest
import torch

from cryorbit.fourier.interpolation import join_mates
from cryorbit.geometry.shift_grid import disc_grid
from cryorbit.geometry.so3_grid import paired_grid
from cryorbit.imaging.observations import Observations
from cryorbit.imaging.shifts import shift_phases
from cryorbit.inference.grid_oracle import GridOracle, largest
from cryorbit.inference.pose_grid import PoseGrid, grid_slices
from cryorbit.inference.priors import DensityPrior
from cryorbit.inference.random_start import random_blobs
from cryorbit.inference.voxel_prior import VoxelPrior
from cryorbit.optim.blocks import Blocks
from cryorbit.optim.momentum import Momentum
from cryorbit.optim.protocols import Evaluation
from cryorbit.optim.units import Scaled
from cryorbit.volumes.model import solve
from cryorbit.volumes.voxel import VoxelGrid
from phantom_sets import PhantomSet

RADIUS, IMAGES = 5.0, 6


def make(particles: PhantomSet, classes: int = 2) -> tuple[GridOracle, torch.Tensor]:
    """A few images, few enough poses for a list of them all, and volumes at which no pose and no class is sure."""
    band = particles.band(RADIUS)
    clear = particles.source.observe(torch.arange(IMAGES), band.disc, band.noise_variance)
    faint = Observations(0.05 * clear.data, 0.05 * clear.weight, 0.05 * clear.power)
    rotations = paired_grid(1).float()[:16]
    poses = PoseGrid(torch.stack([rotations, rotations @ rotations[5].T])[:classes], disc_grid(2.0, 2.0).float())
    size = band.grid.size
    starts = [random_blobs(size, 0.35 * size, torch.Generator().manual_seed(seed)) for seed in range(classes)]
    volume = 0.3 * particles.volumes.max() / torch.stack(starts).max() * torch.stack(starts)
    return GridOracle(faint, poses, band.grid, band.disc, largest), volume


def test_a_joint_step_is_the_one_worked_out_by_hand(clear_set: PhantomSet) -> None:
    """Posterior over classes, rotations and shifts as one softmax, and for each class its gradient over its max W."""
    oracle, x = make(clear_set)
    images, (classes, count) = oracle.observations, oracle.poses.rotations.shape[:2]
    slices = grid_slices(oracle.grid.model(x), oracle.poses.rotations, oracle.disc).unflatten(0, (classes, count))
    shifted = images.data[:, None] * shift_phases(oracle.poses.shifts, oracle.disc)
    overlap = torch.einsum("btp,krp->bkrt", shifted, slices.conj()).real
    score = overlap - 0.5 * torch.einsum("bp,krp->bkr", images.weight, slices.abs().square())[..., None]
    gamma = score.flatten(1).softmax(1).reshape(score.shape)
    data = torch.einsum("bkrt,btp->krp", gamma.to(shifted), shifted)
    weight = torch.einsum("bkrt,bp->krp", gamma, images.weight)
    steps = []
    for k in range(classes):
        inserted = oracle.grid.insert(
            data[k] - weight[k] * slices[k], weight[k], oracle.poses.rotations[k], oracle.disc.frequencies
        )
        gradient, curvature = (join_mates(each) for each in inserted)
        steps.append(solve(gradient, torch.full_like(curvature, float(curvature.max())), oracle.grid))
    by_hand = torch.stack(steps)

    method = Momentum(momentum=0.9, schedule="fixed", decay=0.0)
    blocks = Blocks(Scaled(oracle, 1.0))
    moved, _ = method.step(blocks, x, method.init(blocks, x), [0], torch.Generator())
    shares = gamma.sum((2, 3)).mean(0)
    assert 0.1 < float(shares.min()) < 0.45, "the classes differ, and neither has all"
    assert oracle.reports[-1].class_fractions.tolist() == pytest.approx(shares.tolist(), rel=1e-3)
    evidence = score.flatten(1).logsumexp(1) - math.log(score[0].numel())
    assert oracle.reports[-1].log_likelihood == pytest.approx(float(evidence.mean()), rel=1e-3)
    torch.testing.assert_close(moved - x, 0.1 * by_hand, rtol=2e-3, atol=2e-3 * float(by_hand.abs().max()) * 0.1)


class Slope:
    """One term that falls by one a unit."""

    num_terms = 1

    def evaluate(self, x: torch.Tensor, idx: torch.Tensor | None) -> Evaluation:
        """The same everywhere."""
        del idx
        return Evaluation(x.sum(), torch.ones_like(x))

    def curvature(self, x: torch.Tensor) -> torch.Tensor:
        """One."""
        return torch.ones_like(x)


def test_momentum_from_the_first_step_on() -> None:
    """``dV = mu dV + (1 - mu) eta G`` from rest: the first step is a tenth of what it is without momentum."""
    method = Momentum(momentum=0.9, schedule="fixed", decay=0.0)
    blocks, x = Blocks(Slope()), torch.zeros(1, dtype=torch.float64)
    state, seen = method.init(blocks, x), []
    for _ in range(3):
        x, state = method.step(blocks, x, state, [0], torch.Generator())
        seen.append(float(x))
    assert seen == pytest.approx([-0.1, -0.29, -0.561])


def test_a_prior_is_a_part_of_value_and_gradient(clear_set: PhantomSet) -> None:
    """In the metric of the largest curvature the field is the gradient but for a factor: against differences."""
    plain, x = make(clear_set)
    grid = plain.grid
    assert isinstance(grid, VoxelGrid)
    x = x + 0.05 * x.max()
    prior = VoxelPrior(DensityPrior(2.0, 0.0), grid, 4)
    oracle = replace(plain, prior=prior)
    direction = torch.zeros_like(x)
    direction[:, 8:12, 8:12, 8:12] = 1.0
    step = 0.02 * float(x.max())
    ends = [prior.value(x + sign * step * direction) for sign in (1, -1)]
    slope = float(ends[0] - ends[1]) / (2 * step)
    assert slope == pytest.approx(2.0 * float(direction.sum()) * (grid.box / grid.size) ** 3 / 4, rel=1e-3)
    # minus the pull, at unit curvature, is the gradient over the factor between adjoint and solve
    factor = 0.5 * grid.scale**2 * grid.padded**3
    gradient = -factor * solve(prior.pull(x), torch.ones(2, *grid.shape), grid)
    assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-3)
    with_prior, without = oracle.evaluate(x, None), plain.evaluate(x, None)
    assert float(with_prior.value - without.value) == pytest.approx(float(prior.value(x)), rel=1e-4)
    # per class, the difference of the fields is that gradient over its max W, for all images of the mean
    weights = plain.expect(x, None).statistics[:, 2]
    for k in range(2):
        most = float(weights[k].max()) * IMAGES
        expected = IMAGES * gradient[k] / (factor * most)
        torch.testing.assert_close(
            (with_prior.field - without.field)[k], expected, rtol=1e-2, atol=1e-2 * float(expected.abs().max())
        )
