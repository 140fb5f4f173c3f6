"""Steps along the gradient of the M-step's objective, divided by its curvature.

The M-step makes a volume V of ``q = D / (W + 1/tau^2)`` on the padded grid, and ``quotient`` finds q again. So it
ends where ``D - W q - q / tau^2`` vanishes, and divided by ``W + 1/tau^2`` that is the way there from anywhere.
Both terms are of q. The grid that slices are interpolated from, of ``synthesize``, stands for the volume with its rim
made brighter: in the prior it would draw the volume away from the M-step's, by a fifth where tau^2 is small.

Gradient and curvature are made some planes at a time: whole, they would take several times the memory of D and W.
"""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.fourier.interpolation import joined_planes
from cryorbit.inference.mstep import ShellWeights, shell_prior, shells_of_planes
from cryorbit.inference.statistics import VolumeStatistics
from cryorbit.volumes.voxel import VoxelGrid, quotient


def half_prior(weights: ShellWeights, half: int, fsc: Float[Tensor, "k s"]) -> Float[Tensor, "k s"]:
    """``1/tau^2`` of one half-set in each shell, as its M-step has it."""
    return shell_prior(weights.mean[half : half + 1], fsc) + weights.tiny


def preconditioned_step(
    statistics: VolumeStatistics,
    half: int,
    volume: Float[Tensor, "k m m m"],
    prior: Float[Tensor, "k s"],
    curvature: Float[Tensor, "k q q h"],
    grid: VoxelGrid,
) -> Float[Tensor, "k m m m"]:
    """The step of a half-set's volumes, along ``D - W q - q / tau^2``.

    Parameters
    ----------
    statistics, half
        D and W of some images, and which half-set's.
    volume
        Where the step begins.
    prior
        ``1/tau^2`` of each shell.
    curvature
        W on the padded grid, completed by ``join_mates``: of these images, or an average.
    grid
        The working box.
    """
    data, weight = statistics.data[half], statistics.weight[half]
    steps = (_step(data[k], weight[k], volume[k], prior[k], curvature[k], grid) for k in range(len(volume)))
    return torch.stack(list(steps))


def _step(
    data: Complex[Tensor, "q q h"],
    weight: Float[Tensor, "q q h"],
    volume: Float[Tensor, "m m m"],
    prior: Float[Tensor, " s"],
    curvature: Float[Tensor, "q q h"],
    grid: VoxelGrid,
) -> Float[Tensor, "m m m"]:
    """The step of one class."""
    data_planes, weight_planes, model = joined_planes(data[None]), joined_planes(weight[None]), quotient(volume, grid)

    def planes(part: slice) -> tuple[Complex[Tensor, "z q h"], Float[Tensor, "z q h"]]:
        damping = prior[shells_of_planes(grid, len(prior), weight, part)]
        # mates may be joined before the product: the model, of a real volume, has what belongs together already
        gradient = data_planes(part) - (weight_planes(part) + damping) * model[part]
        return gradient, curvature[part] + damping

    return grid.solve(planes, data)
