"""The M-step of two half-sets that never see each other beyond a low resolution."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.memory import give_back_free
from cryorbit.fourier.shells import shell_indices
from cryorbit.inference.constraints import windowed
from cryorbit.inference.mstep import compare_halves, regularised
from cryorbit.inference.statistics import VolumeStatistics
from cryorbit.volumes.model import ModelGrid


@dataclass(frozen=True, slots=True)
class HalfMaps:
    """Working volumes of K classes from two half-sets.

    Attributes
    ----------
    references
        Regularised map of each half-set, for its own images; shared at low resolution.
    halves
        Maps of the half-sets as they are: nothing shared, no regularisation, no mask.
    volume
        Regularised maps from all images.
    fsc
        Correlation of ``halves`` within the window, shells 0 ... radius, and one beyond.
    """

    references: Float[Tensor, "2 k m m m"]
    halves: Float[Tensor, "2 k m m m"]
    volume: Float[Tensor, "k m m m"]
    fsc: Float[Tensor, "k s"]


def gold_standard_maps(
    statistics: VolumeStatistics,
    grid: ModelGrid,
    radius: float,
    join_radius: float,
    window: Float[Tensor, "m m m"],
    mask: Float[Tensor, "m m m"],
) -> HalfMaps:
    """References ``D / (W + 1/tau^2)`` of each half-set, with tau^2 from the correlation of the half maps.

    Up to ``join_radius`` both references come from all images, which keeps their hands and origins in register.

    Parameters
    ----------
    statistics
        Of the two half-sets.
    grid, radius
        The working box and the radius that the statistics go to.
    join_radius
        Fourier radius below which the references share their data.
    window
        Soft window in which the half maps are compared.
    mask
        Soft mask outside which references are zero.
    """
    compared = compare_halves(statistics, grid, radius, window)
    weights, fsc = compared.weights, compared.fsc
    volume = regularised(statistics, fsc, weights, grid)
    references = []
    for h in range(2):
        this_half = slice(h, h + 1)
        alone = replace(statistics, data=statistics.data[this_half], weight=statistics.weight[this_half])
        # the sums stand beside every map until the last is made: here memory is at its highest
        give_back_free()
        reference = regularised(alone, fsc, replace(weights, mean=weights.mean[this_half]), grid)
        references.append(windowed(with_low_shells(reference, volume, join_radius), mask))
    return HalfMaps(torch.stack(references), compared.halves, windowed(volume, mask), fsc)


def with_low_shells(
    volume: Float[Tensor, "k m m m"], other: Float[Tensor, "k m m m"], radius: float
) -> Float[Tensor, "k m m m"]:
    """The volume with its shells up to ``radius`` replaced by those of the other."""
    dims = (-3, -2, -1)
    change = torch.fft.rfftn(other - volume, dim=dims)
    change *= (shell_indices(volume.shape[-1]) <= radius).to(volume.device)
    return torch.fft.irfftn(change, s=volume.shape[-3:], dim=dims).add_(volume)
