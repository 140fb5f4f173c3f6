"""Preconditioned steps: they vanish where the M-step ends, and lead there from anywhere."""

from dataclasses import replace

import pytest
import torch

from cryorbit.fourier.interpolation import add_slices, gather_slices, join_mates
from cryorbit.imaging.shifts import shift_phases
from cryorbit.inference.mstep import regularised, shell_weights
from cryorbit.inference.preconditioned import half_prior, preconditioned_step
from cryorbit.inference.reconstruction import KnownPoses, reconstruct
from cryorbit.inference.statistics import VolumeStatistics
from cryorbit.volumes.voxel import PAD, VoxelGrid, quotient, synthesize
from phantom_sets import PhantomSet

RADIUS = 10.0


def statistics_of(particles: PhantomSet) -> VolumeStatistics:
    """All images in their poses, as the first half-set."""
    count = len(particles.source)
    known = KnownPoses(particles.poses, particles.classes, torch.zeros(count, dtype=torch.long), torch.ones(count))
    return reconstruct(particles.source, particles.everything, known, particles.band(RADIUS), 1)


def alone(statistics: VolumeStatistics) -> VolumeStatistics:
    """The statistics of the first half-set as if there were no other."""
    images = (statistics.residual, statistics.class_mass, statistics.log_evidence, statistics.images)
    return VolumeStatistics(statistics.data[:1], statistics.weight[:1], *images)


def residual_gradient(particles: PhantomSet, volume: torch.Tensor, grid: VoxelGrid) -> torch.Tensor:
    """The likelihood's gradient on the grid: what slices of the volume leave of every image, put back."""
    band = particles.band(RADIUS)
    observations = particles.source.observe(particles.everything, band.disc, band.noise_variance)
    rotations, frequencies = particles.poses.rotations, band.disc.frequencies
    slices = gather_slices(synthesize(volume, grid), rotations, frequencies, PAD)
    data = observations.data * shift_phases(particles.poses.shifts, band.disc) - observations.weight * slices
    total = torch.zeros(grid.padded, grid.padded, grid.padded // 2 + 1, dtype=data.dtype)
    add_slices(total, torch.zeros_like(total.real), data, observations.weight, rotations, frequencies, PAD)
    return total


@pytest.mark.parametrize("correlation", [0.1, 0.5, 0.9])
def test_steps_lead_to_the_m_step_and_end_there(clear_set: PhantomSet, correlation: float) -> None:
    statistics, grid = alone(statistics_of(clear_set)), clear_set.band(RADIUS).grid
    weights = shell_weights(statistics, grid, RADIUS)
    fsc = torch.full((1, weights.mean.shape[-1]), correlation)
    prior, curvature = half_prior(weights, 0, fsc), join_mates(statistics.weight[0])
    expected = regularised(statistics, fsc, weights, grid)
    for start in (torch.zeros_like(expected), clear_set.working(RADIUS), expected):
        step = preconditioned_step(statistics, 0, start, prior, curvature, grid)
        assert float((start + step - expected).norm() / expected.norm()) < 1e-5

    # the likelihood's own gradient agrees, as far as views are even: within a twentieth
    own = residual_gradient(clear_set, expected[0], grid)[None]
    of_slices = replace(statistics, data=(own + statistics.weight[0] * quotient(expected, grid))[None])
    step = preconditioned_step(of_slices, 0, expected, prior, curvature, grid)
    assert float(step.norm() / expected.norm()) < 0.06
