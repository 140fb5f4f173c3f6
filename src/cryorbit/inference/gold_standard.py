"""The M-step of two half-sets that never see each other beyond a low resolution."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.fourier.interpolation import join_mates
from cryorbit.inference.constraints import windowed
from cryorbit.inference.mstep import FLOOR, grid_shells, half_map_correlation, shell_mean
from cryorbit.inference.statistics import VolumeStatistics
from cryorbit.volumes.voxel import VoxelGrid, grid_radius, solve


@dataclass(frozen=True, slots=True)
class HalfMaps:
    """Working volumes of K classes from two half-sets.

    Attributes
    ----------
    references
        Regularised map of each half-set, for its own images; shared at low resolution.
    halves
        Maps of the half-sets without regularisation, nothing shared.
    volume
        Regularised maps from all images.
    fsc
        Correlation of ``halves`` within the window, shells 0 ... radius.
    """

    references: Float[Tensor, "2 k m m m"]
    halves: Float[Tensor, "2 k m m m"]
    volume: Float[Tensor, "k m m m"]
    fsc: Float[Tensor, "k s"]


def gold_standard_maps(
    half_sets: tuple[VolumeStatistics, VolumeStatistics],
    grid: VoxelGrid,
    radius: float,
    join_radius: float,
    window: Float[Tensor, "m m m"],
) -> HalfMaps:
    """References ``D / (W + 1/tau^2)`` of each half-set, with tau^2 from the correlation F of the half maps.

    The signal-to-noise ratio of one half map is F / (1 - F), so 1/tau^2 is the half's mean weight times (1 - F) / F.
    Up to ``join_radius`` both references come from all images, which keeps their hands and origins in register.

    Parameters
    ----------
    half_sets
        Statistics of the two halves, each in a half-set axis of length one.
    grid, radius
        The working box and the radius that the statistics go to.
    join_radius
        Fourier radius below which the halves share their data.
    window
        Soft region outside which all maps are zero.
    """
    data = [join_mates(half.data[0]) for half in half_sets]
    weight = [join_mates(half.weight[0]) for half in half_sets]
    shells, count = grid_shells(grid, radius, weight[0])
    means = [shell_mean(half, shells, count) for half in weight]
    tiny = torch.finfo(weight[0].dtype).eps * max(float(half.amax()) for half in weight) + 1e-30
    floors = [FLOOR * mean[:, shells] + tiny for mean in means]
    halves = torch.stack(
        [windowed(solve(d, w + f, grid), window) for d, w, f in zip(data, weight, floors, strict=True)]
    )
    fsc = half_map_correlation(halves[0], halves[1], count)
    clamped = fsc.clamp(1e-3, 0.999).to(weight[0])
    clamped[:, :2] = clamped[:, 2:3]
    noise_to_signal = (1 - clamped) / clamped
    total = _Sums(data[0] + data[1], weight[0] + weight[1], means[0] + means[1])
    joint = total.weight + (0.5 * noise_to_signal * total.mean)[:, shells] + floors[0] + floors[1]
    low = grid_radius(grid, weight[0]) <= join_radius
    references = []
    for d, w, mean, floor in zip(data, weight, means, floors, strict=True):
        alone = w + (noise_to_signal * mean)[:, shells] + floor
        references.append(solve(torch.where(low, total.data, d), torch.where(low, joint, alone), grid))
    volume = windowed(solve(total.data, joint, grid), window)
    return HalfMaps(torch.stack([windowed(r, window) for r in references]), halves, volume, fsc)


@dataclass(frozen=True, slots=True)
class _Sums:
    """D, W and the shells' mean W of both halves together."""

    data: Complex[Tensor, "k q q h"]
    weight: Float[Tensor, "k q q h"]
    mean: Float[Tensor, "k s"]
