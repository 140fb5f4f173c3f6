"""From statistics to volumes: the regularised M-step, half maps, and the correlation that sets the prior."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from cryorbit.core.chunks import chunks
from cryorbit.fourier.interpolation import joined_planes
from cryorbit.fourier.padded import planes_at_once
from cryorbit.fourier.shells import half_spectrum_weights, shell_indices, shell_sums
from cryorbit.inference.constraints import windowed
from cryorbit.inference.statistics import VolumeStatistics
from cryorbit.volumes.model import ModelGrid

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
    mean
        Mean weight of each half-set (two, or one alone), class and shell; the last shell is all beyond the radius.
    tiny
        Least weight of all.
    """

    mean: Float[Tensor, "sets k s"]
    tiny: Float[Tensor, ""]


@dataclass(frozen=True, slots=True)
class ComparedHalves:
    """Two half-sets' mean weights, their maps as they are, and the correlation of these within a window by shell."""

    weights: ShellWeights
    halves: Float[Tensor, "2 k m m m"]
    fsc: Float[Tensor, "k s"]


def maximise(statistics: VolumeStatistics, grid: ModelGrid, radius: float, window: Float[Tensor, "m m m"]) -> Maps:
    """Regularised volumes, half maps and their correlation, all within the window."""
    compared = compare_halves(statistics, grid, radius, window)
    volume = regularised(statistics, compared.fsc, compared.weights, grid)
    halves = torch.stack([windowed(half, window) for half in compared.halves])
    return Maps(windowed(volume, window), halves, compared.fsc)


def compare_halves(
    statistics: VolumeStatistics, grid: ModelGrid, radius: float, window: Float[Tensor, "m m m"]
) -> ComparedHalves:
    """What every M-step of two half-sets begins with; ``radius`` is that to which slices were inserted."""
    weights = shell_weights(statistics, grid, radius)
    halves = half_volumes(statistics, weights, grid)
    first, second = (windowed(half, window) for half in halves)
    return ComparedHalves(weights, halves, half_map_correlation(first, second, weights.mean.shape[-1]))


def half_volumes(statistics: VolumeStatistics, weights: ShellWeights, grid: ModelGrid) -> Float[Tensor, "2 k ..."]:
    """Maps ``D / W`` of the half-sets, without regularisation but for a tiny floor of W."""
    halves = []
    for data, weight, mean in zip(statistics.data, statistics.weight, weights.mean, strict=True):
        floor = FLOOR * mean + weights.tiny
        halves.append(torch.stack([_damped(data[k, None], weight[k, None], floor[k], grid) for k in range(len(mean))]))
    return torch.stack(halves)


def regularised(
    statistics: VolumeStatistics, fsc: Float[Tensor, "k s"], weights: ShellWeights, grid: ModelGrid
) -> Float[Tensor, "k ..."]:
    """Volumes ``D / (W + 1/tau^2)`` of all images, with the prior variance tau^2 of each shell from the half maps.

    With F the correlation of half maps, the signal-to-noise ratio of one is F / (1 - F) and that of the mean of two
    2F / (1 - F); 1/tau^2 is the shell's mean weight divided by it. Statistics of one half-set alone give its own map.
    Where the half-sets share their reference, F is optimistic: it regularises, it does not validate.
    """
    prior = shell_prior(weights.mean, fsc) + weights.tiny
    return torch.stack(
        [_damped(statistics.data[:, k], statistics.weight[:, k], prior[k], grid) for k in range(len(fsc))]
    )


def shell_prior(mean: Float[Tensor, "sets k s"], fsc: Float[Tensor, "k s"]) -> Float[Tensor, "k s"]:
    """1/tau^2 of each shell from the correlation of half maps; ``mean`` is of the half-sets that make the map."""
    # RELION's limits: the prior stays finite where half-maps deny a shell, and does not vanish where they share it
    clamped = fsc.clamp(1e-3, 0.999).to(mean)
    # images say nothing of the origin, and the few coefficients of shell 1 correlate by chance
    clamped[:, :2] = clamped[:, 2:3]
    total = mean.sum(0)
    return total * (1 - clamped) / (len(mean) * clamped) + FLOOR * total


def shell_weights(statistics: VolumeStatistics, grid: ModelGrid, radius: float) -> ShellWeights:
    """Mean weights of the shells of a grid that slices of ``radius`` were inserted into."""
    count = int(radius) + 2
    weight = statistics.weight
    planes = [joined_planes(each[None]) for each in weight.flatten(0, 1)]
    sums = weight.new_zeros(len(planes), count, dtype=torch.float64)
    # above zero even if nothing was inserted: the least weight follows from it, and is divided by
    points, largest = torch.zeros_like(sums[0]), weight.new_tensor(1e-30)
    for part in chunks(grid.shape[0], planes_at_once(grid.shape[1])):
        shells = shells_of_planes(grid, count, weight, part).flatten()
        points += torch.bincount(shells, minlength=count)
        for total, of_planes in zip(sums, planes, strict=True):
            joined = of_planes(part)
            total += torch.bincount(shells, joined.flatten().double(), minlength=count)
            largest = torch.maximum(largest, joined.amax())
    mean = (sums / points).to(weight).unflatten(0, weight.shape[:2])
    return ShellWeights(mean, torch.finfo(weight.dtype).eps * largest)


def half_map_correlation(a: Float[Tensor, "k m m m"], b: Float[Tensor, "k m m m"], count: int) -> Float[Tensor, "k s"]:
    """Fourier shell correlation of pairs of working volumes in shells 0 ... count - 1 of the box."""
    size = a.shape[-1]
    weights = half_spectrum_weights(size).to(a.device)
    sums = a.new_zeros(len(a), 3, count, dtype=torch.float64)
    for k, pair in enumerate(zip(a, b, strict=True)):
        # one axis after the others: of whole transforms there would be many copies
        first, second = (_slabs_transformed(volume) for volume in pair)
        for part in chunks(size, planes_at_once(size)):
            fa, fb = torch.fft.fft(first[part], dim=1), torch.fft.fft(second[part], dim=1)
            products = torch.stack([(fa * fb.conj()).real, fa.abs() ** 2, fb.abs() ** 2]).double() * weights
            # with y for z the shells are the same
            shells = shell_indices(size, part).to(a.device)
            sums[k] += shell_sums(products.flatten(1), shells.flatten(), count)
    cross, power_a, power_b = sums.unbind(1)
    return cross / torch.sqrt(power_a * power_b).clamp_min(torch.finfo(torch.float64).tiny)


def resolved_radius(fsc: Float[Tensor, " s"], threshold: float = 0.143) -> int:
    """Last shell before the correlation first falls below the threshold (shells 0-2 are taken for granted).

    The last of the curve's shells lies beyond the radius to which images were inserted: what the window has carried
    there correlates, and tells nothing. A curve that never falls is resolved to the shell before it.
    """
    below = torch.nonzero(fsc[3:-1] < threshold)
    return len(fsc) - 2 if len(below) == 0 else int(below[0, 0]) + 2


def _damped(
    data: Complex[Tensor, "s z q h"], weight: Float[Tensor, "s z q h"], damping: Float[Tensor, " c"], grid: ModelGrid
) -> Float[Tensor, "..."]:
    """The unknown ``D / (W + damping)``, D and W summed over half-sets, the damping that of each shell."""
    data_planes, weight_planes = joined_planes(data), joined_planes(weight)

    def planes(part: slice) -> tuple[Complex[Tensor, "z q h"], Float[Tensor, "z q h"]]:
        shells = shells_of_planes(grid, len(damping), weight, part)
        return data_planes(part), weight_planes(part) + damping[shells]

    return grid.solve(planes, data)


def _slabs_transformed(volume: Float[Tensor, "m m m"]) -> Complex[Tensor, "m m h"]:
    """Half transform along y and x alone, with y as the first axis."""
    size = len(volume)
    rows = torch.view_as_complex(volume.new_empty(size, size, size // 2 + 1, 2))
    for part in chunks(size, planes_at_once(size)):
        rows[:, part] = torch.fft.rfft2(volume[part]).transpose(0, 1)
    return rows


def shells_of_planes(grid: ModelGrid, count: int, like: Tensor, planes: slice) -> Int[Tensor, "z q h"]:
    """Shell of every point of some planes of the padded grid, those beyond all others in the last one."""
    return grid.radius(like, planes).round_().long().clamp_max_(count - 1)
