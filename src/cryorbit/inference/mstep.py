"""From statistics to volumes: the regularised M-step, half maps, and the correlation that sets the prior."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from cryorbit.fourier.interpolation import join_mates
from cryorbit.fourier.shells import half_spectrum_weights, shell_indices, shell_sums
from cryorbit.inference.constraints import windowed
from cryorbit.inference.statistics import VolumeStatistics
from cryorbit.volumes.voxel import VoxelGrid, grid_radius, solve

FLOOR = 1e-3
"""Least weight of a Fourier voxel, as a part of its shell's mean: voxels no slice has met stay near zero."""


@dataclass(frozen=True, slots=True)
class Maps:
    """Working volumes of K classes.

    Attributes
    ----------
    volume
        Regularised maps from all images.
    halves
        Maps of the two half-sets, without regularisation.
    fsc
        Correlation of the half maps within the window, shells 0 ... radius, and one beyond.
    """

    volume: Float[Tensor, "k m m m"]
    halves: Float[Tensor, "2 k m m m"]
    fsc: Float[Tensor, "k s"]


@dataclass(frozen=True, slots=True)
class ShellWeights:
    """The mean of W in each shell, by which weights are kept from vanishing.

    Attributes
    ----------
    shells
        Shell of every point of the padded grid, those beyond the radius in a last one.
    mean
        Mean weight of each half-set (two, or one alone), class and shell.
    tiny
        Least weight of all.
    """

    shells: Int[Tensor, "q q h"]
    mean: Float[Tensor, "h k s"]
    tiny: Float[Tensor, ""]


def maximise(statistics: VolumeStatistics, grid: VoxelGrid, radius: float, window: Float[Tensor, "m m m"]) -> Maps:
    """Regularised volumes, half maps and their correlation, all within the window."""
    weights = shell_weights(statistics, grid, radius)
    halves = torch.stack([windowed(half, window) for half in half_volumes(statistics, weights, grid)])
    fsc = half_map_correlation(halves[0], halves[1], weights.mean.shape[-1])
    return Maps(windowed(regularised(statistics, fsc, weights, grid), window), halves, fsc)


def half_volumes(statistics: VolumeStatistics, weights: ShellWeights, grid: VoxelGrid) -> Float[Tensor, "2 k m m m"]:
    """Maps ``D / W`` of the half-sets, without regularisation but for a tiny floor of W.

    One volume at a time, here and in ``regularised``: the temporaries of one are as large as its statistics.
    """
    halves = []
    for data_of_half, weight_of_half, mean_of_half in zip(
        statistics.data, statistics.weight, weights.mean, strict=True
    ):
        volumes = []
        for data, weight, mean in zip(data_of_half, weight_of_half, mean_of_half, strict=True):
            damped = join_mates(weight) + FLOOR * mean[weights.shells] + weights.tiny
            volumes.append(solve(join_mates(data), damped, grid))
        halves.append(torch.stack(volumes))
    return torch.stack(halves)


def regularised(
    statistics: VolumeStatistics, fsc: Float[Tensor, "k s"], weights: ShellWeights, grid: VoxelGrid
) -> Float[Tensor, "k m m m"]:
    """Volumes ``D / (W + 1/tau^2)`` of all images, with the prior variance tau^2 of each shell from the half maps.

    With F the correlation of half maps, the signal-to-noise ratio of one is F / (1 - F) and that of the mean of two
    2F / (1 - F); 1/tau^2 is the shell's mean weight divided by it. Statistics of one half-set alone give its own map.
    Where the half-sets share their reference, F is optimistic: it regularises, it does not validate.
    """
    prior = shell_prior(weights.mean, fsc)
    volumes = []
    for k in range(len(fsc)):
        damped = _joined_sum(statistics.weight[:, k]) + prior[k, weights.shells] + weights.tiny
        volumes.append(solve(_joined_sum(statistics.data[:, k]), damped, grid))
    return torch.stack(volumes)


def shell_prior(mean: Float[Tensor, "h k s"], fsc: Float[Tensor, "k s"]) -> Float[Tensor, "k s"]:
    """1/tau^2 of each shell from the correlation of half maps; ``mean`` is of the half-sets that make the map."""
    clamped = fsc.clamp(1e-3, 0.999).to(mean)
    clamped[:, :2] = clamped[:, 2:3]
    total = mean.sum(0)
    return total * (1 - clamped) / (len(mean) * clamped) + FLOOR * total


def shell_weights(statistics: VolumeStatistics, grid: VoxelGrid, radius: float) -> ShellWeights:
    """Mean weights of the shells of a grid that slices of ``radius`` were inserted into."""
    shells, count = grid_shells(grid, radius, statistics.weight)
    means, largest = [], []
    for half in statistics.weight:
        joined = [join_mates(weight) for weight in half]
        means.append(torch.cat([shell_mean(weight[None], shells, count) for weight in joined]))
        largest += [weight.amax() for weight in joined]
    tiny = torch.finfo(statistics.weight.dtype).eps * torch.stack(largest).amax().clamp_min(1e-30)
    return ShellWeights(shells, torch.stack(means), tiny)


def half_map_correlation(a: Float[Tensor, "k m m m"], b: Float[Tensor, "k m m m"], count: int) -> Float[Tensor, "k s"]:
    """Fourier shell correlation of pairs of working volumes in shells 0 ... count - 1 of the box."""
    size = a.shape[-1]
    weights = half_spectrum_weights(size).to(a.device)
    shells = shell_indices(size).to(a.device).flatten()
    fa, fb = (torch.fft.rfftn(v.double(), dim=(-3, -2, -1)) for v in (a, b))
    products = torch.stack([(fa * fb.conj()).real, fa.abs() ** 2, fb.abs() ** 2])
    cross, power_a, power_b = shell_sums((products * weights).flatten(2), shells, count)
    return cross / torch.sqrt(power_a * power_b).clamp_min(torch.finfo(torch.float64).tiny)


def resolved_radius(fsc: Float[Tensor, " s"], threshold: float = 0.143) -> int:
    """Last shell before the correlation first falls below the threshold (shells 0-2 are taken for granted).

    The last of the curve's shells lies beyond the radius to which images were inserted: what the window has carried
    there correlates, and tells nothing. A curve that never falls is resolved to the shell before it.
    """
    below = torch.nonzero(fsc[3:-1] < threshold)
    return len(fsc) - 2 if len(below) == 0 else int(below[0, 0]) + 2


def grid_shells(grid: VoxelGrid, radius: float, like: Tensor) -> tuple[Int[Tensor, "q q h"], int]:
    """Shell of every point of the padded grid, those beyond ``radius`` in a last one, and the number of shells."""
    count = int(radius) + 2
    return grid_radius(grid, like).round().long().clamp_max(count - 1), count


def shell_mean(weight: Float[Tensor, "k q q h"], shells: Int[Tensor, "q q h"], count: int) -> Float[Tensor, "k s"]:
    """Mean weight of each shell."""
    flat = shells.flatten()
    sums = torch.stack([torch.bincount(flat, w.flatten().double(), minlength=count) for w in weight])
    return (sums / torch.bincount(flat, minlength=count)).to(weight)


def _joined_sum(halves: Shaped[Tensor, "s q q h"]) -> Shaped[Tensor, "q q h"]:
    total = join_mates(halves[0])
    for half in halves[1:]:
        total += join_mates(half)
    return total
