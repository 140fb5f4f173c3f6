"""A prior of poses, a cone of views and shifts near the centre, moves posteriors as Bayes says."""

import math
from dataclasses import dataclass

import pytest
import torch

from cryorbit.geometry.rotations import random_rotations
from cryorbit.geometry.shift_grid import disc_grid
from cryorbit.geometry.so3_grid import paired_grid
from cryorbit.imaging.observations import Observations
from cryorbit.imaging.shifts import shift_phases
from cryorbit.inference.candidates import Candidates, normalise, score_candidates
from cryorbit.inference.global_search import coarse_cells
from cryorbit.inference.grid_oracle import GridOracle
from cryorbit.inference.local_search import Descent, descend
from cryorbit.inference.marginal import pose_posterior
from cryorbit.inference.pose_grid import PoseGrid, grid_slices
from cryorbit.inference.pose_levels import Level
from cryorbit.inference.pose_space import PoseSpace
from phantom_sets import PhantomSet

RADIUS, SHIFT_RANGE, LIKE_NOISE = 6.0, 2.0, 0.12
"""Images are made so faint that their own posteriors are broad."""
NEGLECTED = 3e-4
"""Posterior that a pose may have which was neglected without the prior, as it makes it a few hundred times likelier."""


@dataclass(frozen=True)
class Cone:
    """Views within an angle of the z axis, and little beside them; shifts about the centre."""

    half_angle: float = 60.0
    beside: float = 0.01
    sigma: float = 0.7

    def of_rotations(self, rotations: torch.Tensor) -> torch.Tensor:
        """Log of the density of views, nats."""
        cosine = math.cos(math.radians(self.half_angle))
        part = (1 - cosine) / 2
        within = math.log((1 - self.beside * (1 - part)) / part)
        return torch.where(rotations[:, 2, 2] > cosine, within, math.log(self.beside)).to(rotations)

    def of_shifts(self, shifts: torch.Tensor) -> torch.Tensor:
        """Log of the density of shifts within the range, nats."""
        area = SHIFT_RANGE**2 / (2 * self.sigma**2)
        return math.log(area / -math.expm1(-area)) - (shifts**2).sum(1) / (2 * self.sigma**2)


@pytest.fixture(scope="module")
def faint(clear_set: PhantomSet) -> Observations:
    band = clear_set.band(RADIUS)
    return clear_set.source.observe(torch.arange(6), band.disc, band.noise_variance / LIKE_NOISE)


@pytest.fixture(scope="module")
def grid() -> PoseGrid:
    return PoseGrid(paired_grid(1).float()[None], disc_grid(SHIFT_RANGE, 1.0).float())


def with_prior(grid: PoseGrid) -> PoseGrid:
    return PoseGrid(grid.rotations, grid.shifts, Cone())


def test_the_prior_of_the_tests_has_mean_one(generator: torch.Generator) -> None:
    rotations = random_rotations(20000, generator)
    assert float(Cone().of_rotations(rotations).exp().mean()) == pytest.approx(1, abs=0.03)
    shifts = disc_grid(SHIFT_RANGE, 0.05).double()
    assert float(Cone().of_shifts(shifts).exp().mean()) == pytest.approx(1, abs=0.01)


def bayes(joint: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Posterior and log-evidence of every image, from a log-density of all its poses in the axes after the first."""
    evidence = torch.logsumexp(joint.flatten(1), 1)
    return (joint - evidence[:, None, None]).exp(), evidence


def joint_of(clear_set: PhantomSet, faint: Observations, grid: PoseGrid) -> torch.Tensor:
    """Log of density and likelihood of every image, shift and rotation of the grid: the residuals, and the prior."""
    band, prior = clear_set.band(RADIUS), Cone()
    slices = grid_slices(band.grid.model(clear_set.working(RADIUS)), grid.rotations, band.disc)
    shifted = faint.data[:, None] * shift_phases(grid.shifts, band.disc)
    overlap = torch.einsum("btp,gp->btg", shifted, slices.conj()).real
    energy = 0.5 * torch.einsum("bp,gp->bg", faint.weight, slices.abs() ** 2)
    alike = math.log(len(grid.shifts) * len(slices))
    density = prior.of_shifts(grid.shifts)[:, None] + prior.of_rotations(grid.rotations[0])
    return overlap - energy[:, None] + density - alike


def test_posteriors_of_a_grid(clear_set: PhantomSet, faint: Observations, grid: PoseGrid) -> None:
    band, poses = clear_set.band(RADIUS), with_prior(grid)
    slices = grid_slices(band.grid.model(clear_set.working(RADIUS)), grid.fronts, band.disc)
    phases = shift_phases(grid.shifts, band.disc)
    log_prior = poses.rotation_prior.flatten() - math.log(poses.rotations.shape[1] * len(phases))
    found = pose_posterior(faint, slices, phases, log_prior, shift_prior=poses.shift_prior)
    gamma = torch.zeros(len(faint), len(phases), grid.rotations.shape[1])
    gamma[found.image, found.shift, found.slice] = found.gamma
    expected, evidence = bayes(joint_of(clear_set, faint, grid))
    torch.testing.assert_close(gamma, expected, rtol=5e-3, atol=NEGLECTED)
    torch.testing.assert_close(found.log_evidence, evidence, rtol=0, atol=0.01)


def test_the_sum_over_a_grid_has_the_prior(clear_set: PhantomSet, faint: Observations, grid: PoseGrid) -> None:
    band, volume = clear_set.band(RADIUS), clear_set.working(RADIUS)
    plain, moved = (
        float(GridOracle(faint, poses, band.grid, band.disc).expect(volume, None).value)
        for poses in (grid, with_prior(grid))
    )
    _, evidence = bayes(joint_of(clear_set, faint, grid))
    assert moved == pytest.approx(-float(evidence.mean()), abs=0.01)
    assert abs(plain - moved) > 0.05


def test_the_first_of_coarse_cells_has_the_prior(clear_set: PhantomSet, faint: Observations, grid: PoseGrid) -> None:
    band, volume = clear_set.band(RADIUS), clear_set.working(RADIUS)
    expected, _ = bayes(joint_of(clear_set, faint, grid))
    best = grid.rotations[0, expected.sum(1).argmax(1)]
    assert torch.equal(coarse_cells(faint, volume, with_prior(grid), band, 1).rotation, best)
    assert not torch.equal(coarse_cells(faint, volume, grid, band, 1).rotation, best)


def candidates_of(count: int, generator: torch.Generator) -> Candidates:
    image = torch.arange(6).repeat_interleave(count)
    centre = 0.5 * torch.randn(len(image), 2, generator=generator)
    return Candidates(image, torch.zeros_like(image), random_rotations(len(image), generator).float(), centre)


def test_posteriors_of_candidates(clear_set: PhantomSet, faint: Observations, generator: torch.Generator) -> None:
    candidates, lattice = candidates_of(200, generator), disc_grid(1.0, 0.5).float()
    band, prior = clear_set.band(RADIUS), Cone()
    model = band.grid.model(clear_set.working(RADIUS))
    plain = score_candidates(candidates, faint, model, band.disc, lattice)
    moved = normalise(candidates, score_candidates(candidates, faint, model, band.disc, lattice, prior), 1e4)
    density = torch.stack([prior.of_shifts(each) for each in candidates.centre[:, None] + lattice])
    joint = plain.log_joint + density + prior.of_rotations(candidates.rotation)[:, None]
    expected, evidence = bayes(joint.unflatten(0, (6, -1)))
    torch.testing.assert_close(moved.gamma, expected.flatten(0, 1), rtol=2e-3, atol=1e-6)
    torch.testing.assert_close(moved.log_evidence, evidence - math.log(1e4), rtol=0, atol=1e-3)


def test_a_descent_has_the_prior_of_its_space(
    clear_set: PhantomSet, faint: Observations, generator: torch.Generator
) -> None:
    """Subdivided once without pruning, the mass within the cone is what Bayes makes of the mass without a prior."""
    cells, band = candidates_of(60, generator), clear_set.band(RADIUS)
    level = Level(spacing=7.5, radius=RADIUS, shift_step=0.5, keep_nats=1e9, at_most=10**6)
    model = band.grid.model(clear_set.working(RADIUS))
    found = [
        descend(cells, faint, model, band, Descent([level], PoseSpace(SHIFT_RANGE, prior=prior)))
        for prior in (None, Cone())
    ]
    (kept, plain, lattice), (_, moved, _) = found
    density = Cone().of_rotations(kept.rotation)[:, None] + torch.stack(
        [Cone().of_shifts(centre + lattice) for centre in kept.centre]
    )
    product = plain.gamma * density.exp()
    mean = torch.zeros(6).index_add(0, kept.image, product.sum(1))
    torch.testing.assert_close(moved.gamma, product / mean[kept.image, None], rtol=2e-3, atol=NEGLECTED)
    assert float((moved.gamma - plain.gamma).abs().sum()) > 1
