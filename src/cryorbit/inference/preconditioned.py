"""Steps along the gradient of the M-step's objective, divided by its curvature.

``solve`` makes a volume V of ``q = D / (W + 1/tau^2)`` on the padded grid, and ``quotient`` finds q again. So the
M-step ends where ``D - W q - q / tau^2`` vanishes, and divided by ``W + 1/tau^2`` that is the way there from anywhere.
Both terms are of q. The grid that slices are interpolated from, of ``synthesize``, stands for the volume with its rim
made brighter: in the prior it would draw the volume away from the M-step's, by a fifth where tau^2 is small.
"""

from __future__ import annotations

from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.fourier.interpolation import join_mates
from cryorbit.inference.mstep import ShellWeights, shell_prior
from cryorbit.inference.statistics import VolumeStatistics
from cryorbit.volumes.voxel import VoxelGrid, quotient, solve


def data_gradient(
    statistics: VolumeStatistics, half: int, volume: Float[Tensor, "k m m m"], grid: VoxelGrid
) -> Complex[Tensor, "k q q h"]:
    """``D - W q`` of one half-set at its volumes, not completed by ``join_mates``: sums over images add."""
    return statistics.data[half] - statistics.weight[half] * quotient(volume, grid)


def half_prior(weights: ShellWeights, half: int, fsc: Float[Tensor, "k s"]) -> Float[Tensor, "k q q h"]:
    """``1/tau^2`` of one half-set on the padded grid, as its M-step has it."""
    return shell_prior(weights.mean[half : half + 1], fsc)[:, weights.shells] + weights.tiny


def preconditioned_step(
    gradient: Complex[Tensor, "k q q h"],
    volume: Float[Tensor, "k m m m"],
    prior: Float[Tensor, "k q q h"],
    curvature: Float[Tensor, "k q q h"],
    grid: VoxelGrid,
) -> Float[Tensor, "k m m m"]:
    """The step of a half-set's volumes.

    Parameters
    ----------
    gradient
        That of the data at ``volume``.
    volume
        Where the step begins.
    prior
        ``1/tau^2`` on the padded grid.
    curvature
        W on the padded grid, completed by ``join_mates``: of the images of the gradient, or an average.
    grid
        The working box.
    """
    return solve(join_mates(gradient) - prior * quotient(volume, grid), curvature + prior, grid)
