"""From statistics to volumes: the regularised M-step, half maps, and the correlation that sets the prior."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
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
        Correlation of the half maps within the window, shells 0 ... radius.
    """

    volume: Float[Tensor, "k m m m"]
    halves: Float[Tensor, "2 k m m m"]
    fsc: Float[Tensor, "k s"]


def maximise(statistics: VolumeStatistics, grid: VoxelGrid, radius: float, window: Float[Tensor, "m m m"]) -> Maps:
    """Volumes ``D / (W + 1/tau^2)`` with the prior variance tau^2 of each shell from the half maps.

    With F the correlation of the half maps, the signal-to-noise ratio of their mean is 2F / (1 - F), and 1/tau^2 is
    the shell's mean weight divided by it. The half-sets share their reference, so F is optimistic: it regularises,
    it does not validate.
    """
    data, weight = join_mates(statistics.data), join_mates(statistics.weight)
    shells, count = _grid_shells(grid, radius, weight)
    floor = torch.stack([_shell_mean(half, shells, count) for half in weight])
    tiny = torch.finfo(weight.dtype).eps * weight.amax().clamp_min(1e-30)
    halves = solve(data, weight + FLOOR * floor[..., shells] + tiny, grid)
    halves = torch.stack([windowed(half, window) for half in halves])
    fsc = half_map_correlation(halves[0], halves[1], count)
    clamped = fsc.clamp(1e-3, 0.999).to(weight)
    clamped[:, :2] = clamped[:, 2:3]
    total = weight.sum(0)
    prior = floor.sum(0) * (1 - clamped) / (2 * clamped) + FLOOR * floor.sum(0)
    volume = solve(data.sum(0), total + prior[:, shells] + tiny, grid)
    return Maps(windowed(volume, window), halves, fsc)


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
    """Last shell before the correlation first falls below the threshold (shells 0-2 are taken for granted)."""
    below = torch.nonzero(fsc[3:] < threshold)
    return len(fsc) - 1 if len(below) == 0 else int(below[0, 0]) + 2


def _grid_shells(grid: VoxelGrid, radius: float, like: Tensor) -> tuple[Tensor, int]:
    count = int(radius) + 2
    return grid_radius(grid, like).round().long().clamp_max(count - 1), count


def _shell_mean(weight: Float[Tensor, "k q q h"], shells: Tensor, count: int) -> Float[Tensor, "k s"]:
    flat = weight.flatten(1).double()
    sums = shell_sums(torch.cat([flat, torch.ones_like(flat[:1])]), shells.flatten(), count)
    return (sums[:-1] / sums[-1]).to(weight)
