"""The E-step on a shared grid: equal to brute force, however it is cut into blocks; its gradient is the gradient."""

import math

import pytest
import torch

from cryorbit.fourier.half_disc import half_disc
from cryorbit.geometry.rotations import random_rotations
from cryorbit.geometry.shift_grid import disc_grid
from cryorbit.imaging.observations import Observations, observe
from cryorbit.imaging.shifts import shift_phases
from cryorbit.imaging.slices import SliceOperator
from cryorbit.imaging.transfer import Transfer
from cryorbit.inference import marginal, significant
from cryorbit.inference.marginal import pose_posterior, slice_statistics
from cryorbit.volumes.voxel import VoxelGrid

BOX, RADIUS = 16, 5


@pytest.fixture
def problem(generator):
    """Observations of a random volume, its slices on a small grid, and shift phases."""
    disc = half_disc(BOX, RADIUS)
    volume = torch.randn(BOX, BOX, BOX, generator=generator)
    rotations = random_rotations(30, generator).float()
    slices = SliceOperator(VoxelGrid(BOX, BOX), disc, rotations).project(volume)
    phases = shift_phases(disc_grid(2, 1), disc)
    transform = slices[:8] * phases[1] + 3 * torch.randn(8, len(disc), dtype=torch.complex64, generator=generator)
    ctf = 0.5 + torch.rand(8, len(disc), generator=generator)
    observations = observe(transform, Transfer(ctf), torch.full((len(disc),), 9.0))
    return disc, rotations, slices, phases, observations


def _views(slices):
    """Each slice, and its conjugate after it."""
    return torch.stack([slices, slices.conj()], 1).flatten(0, 1)


def _brute_force(observations, slices, phases, log_prior):
    """Log-joint of every image, shift and slice from the squared residuals themselves."""
    shifted = observations.data[:, None] * phases
    cross = torch.einsum("btp,gp->btg", shifted, slices.conj()).real
    norm = 0.5 * torch.einsum("bp,gp->bg", observations.weight, slices.abs() ** 2)
    return cross - norm[:, None] + log_prior


def _dense(posterior, shape):
    gamma = torch.zeros(shape)
    gamma[posterior.image, posterior.shift, posterior.slice] = posterior.gamma
    return gamma


@pytest.mark.parametrize("budget", [1, 4 * 13 * 17, 2**25])
def test_posterior_equals_brute_force_in_any_blocks(problem, budget):
    _, _, slices, phases, observations = problem
    log_prior = torch.linspace(-1, 0, 2 * len(slices))
    joint = _brute_force(observations, _views(slices), phases, log_prior)
    posterior = pose_posterior(observations, slices, phases, log_prior, budget)
    assert torch.equal(posterior.image, posterior.image.sort().values)
    evidence = torch.logsumexp(joint.flatten(1), 1)
    torch.testing.assert_close(posterior.log_evidence, evidence, rtol=1e-4, atol=1e-3)
    expected = (joint - evidence[:, None, None]).exp()
    torch.testing.assert_close(_dense(posterior, joint.shape), expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(posterior.effective, 1 / (expected**2).sum((1, 2)), rtol=1e-3, atol=1e-3)


def test_statistics_are_posterior_sums(problem):
    _, _, slices, phases, observations = problem
    views = 2 * len(slices)
    posterior = pose_posterior(observations, slices, phases, torch.zeros(views))
    gamma = _dense(posterior, (len(observations), len(phases), views))
    statistics = slice_statistics(posterior, observations, phases, views)
    shifted = observations.data[:, None] * phases
    torch.testing.assert_close(
        statistics.data, torch.einsum("btg,btp->gp", gamma.to(shifted.dtype), shifted), rtol=1e-4, atol=1e-3
    )
    torch.testing.assert_close(
        statistics.weight, torch.einsum("btg,bp->gp", gamma, observations.weight), rtol=1e-4, atol=1e-5
    )


def test_thinning_keeps_evidence_and_statistics(problem, monkeypatch):
    """A flat posterior is estimated from quantiles: sums over many poses stay close to the exact ones."""
    _, _, slices, phases, observations = problem
    faint = Observations(observations.data * 0.02, observations.weight * 0.02, observations.power)
    views = 2 * len(slices)
    prior = torch.zeros(views)
    exact = pose_posterior(faint, slices, phases, prior)
    monkeypatch.setattr(significant, "FLAT_ENTRIES", 10)
    thinned = pose_posterior(faint, slices, phases, prior)
    assert len(thinned.gamma) == len(faint) * significant.THINNED_ENTRIES != len(exact.gamma)
    torch.testing.assert_close(thinned.log_evidence, exact.log_evidence, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(thinned.effective, exact.effective, rtol=1e-4, atol=1e-2)
    w_exact = slice_statistics(exact, faint, phases, views).weight
    w_thinned = slice_statistics(thinned, faint, phases, views).weight
    torch.testing.assert_close(w_thinned.sum(0), w_exact.sum(0), rtol=1e-4, atol=1e-6)
    # about 136 entries a slice: independent draws would scatter by 8.5 %, quantiles by less than half of that
    assert (w_thinned - w_exact).norm() < 0.04 * w_exact.norm()


def test_back_projected_residual_is_the_gradient_of_the_evidence(problem, generator, monkeypatch):
    """Fisher's identity against a central difference in float64."""
    disc, rotations, _, phases, observations = problem
    for module in (marginal, significant):
        monkeypatch.setattr(module, "KEEP_NATS", 40.0)
    operator = SliceOperator(VoxelGrid(BOX, BOX), disc, rotations.double())
    double = Observations(observations.data.cdouble(), observations.weight.double(), observations.power.double())
    phases = phases.cdouble()
    views = 2 * len(rotations)
    prior = torch.full((views,), -math.log(views), dtype=torch.float64)
    volume = 0.3 * torch.randn(BOX, BOX, BOX, dtype=torch.float64, generator=generator)
    direction = torch.randn(BOX, BOX, BOX, dtype=torch.float64, generator=generator)

    def evidence(x):
        return pose_posterior(double, operator.project(x), phases, prior).log_evidence.sum()

    slices = operator.project(volume)
    statistics = slice_statistics(pose_posterior(double, slices, phases, prior), double, phases, views)
    front, back = (statistics.data - statistics.weight * _views(slices)).unflatten(0, (-1, 2)).unbind(1)
    gradient = operator.backproject(front + back.conj())
    step = 1e-5
    difference = (evidence(volume + step * direction) - evidence(volume - step * direction)) / (2 * step)
    torch.testing.assert_close((gradient * direction).sum(), difference, rtol=1e-6, atol=0)
