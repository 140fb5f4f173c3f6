"""The radius of the first scores of branch and bound, from the spectrum of the map.

A cell is dropped if its score at a radius L stays behind by more than the coefficients beyond L may add. An image of a
slice Y scores ``1/2 sum_(|k| <= L) weight |Y - Y'|^2`` lower, on average, at another slice Y'; the others may add up to
``P_L + tau sqrt(2 P_L)`` (``pose_bound``). The first sum grows with L, the second falls to zero: at a radius below the
one where they meet hardly any cell can be dropped.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.conventions import HERMITIAN_WEIGHT
from cryorbit.fourier.half_disc import HalfDisc, count_within
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.inference.band import Band
from cryorbit.inference.pose_bound import BoundSettings, noise_allowance, sample_rotations
from cryorbit.inference.pose_grid import grid_slices
from cryorbit.volumes.model import Model

SMALLEST_RADIUS = 2
"""A disc of fewer coefficients cannot tell five parameters of a pose."""
IMAGES = 256
"""Of so many images, evenly spaced, the mean weight is taken."""


def pruning_radius(model: Model, disc: HalfDisc, weight: Float[Tensor, " p"], settings: BoundSettings) -> float:
    """Smallest whole radius at which scores of different views differ by more than what lies beyond may add.

    Parameters
    ----------
    model
        The volumes.
    disc
        Half disc of the full radius, which is returned where no smaller one will do.
    weight
        Mean weight of the images on it.
    settings
        What the bound allows for.
    """
    rotations = sample_rotations().to(weight).expand(len(model.spectra), -1, 3, 3)
    slices = grid_slices(model, rotations, disc).unflatten(0, rotations.shape[:2])
    # halfway through the sample lies a view that is nowhere near
    other = slices.roll(slices.shape[1] // 2, 1)
    contrast = 0.5 * (weight * (slices - other).abs() ** 2).mean((0, 1)).cumsum(0)
    energy = 0.5 * (weight * slices.abs() ** 2).flatten(0, 1).cumsum(1)
    beyond = (energy[:, -1:] - energy).amax(0)
    separate = contrast > beyond + noise_allowance(beyond, settings)
    radii = range(SMALLEST_RADIUS, int(disc.radius) + 1)
    return next((float(r) for r in radii if bool(separate[count_within(disc, r) - 1])), disc.radius)


def mean_weight(source: ParticleSource, index: Int[Tensor, " n"], band: Band) -> Float[Tensor, " p"]:
    """Mean weight, on the half disc of the band, of an evenly spaced sample of the images at ``index``."""
    sample = index[torch.linspace(0, len(index) - 1, min(IMAGES, len(index))).round().long()]
    power = source.transfer(sample, band.disc).power.mean(0)
    return HERMITIAN_WEIGHT * power / band.noise_variance[band.disc.shells]
