"""Sufficient statistics of the unknown: D and W on Fourier grids, residual power, class masses. They add.

A pass adds D and W up as whole numbers (``exact_sums``) and the other sums batch by batch, in the order of the
particles: statistics are the same bits on any number of processes.

Axis legend: S half-sets, K classes, z q h the padded half grid of ``volumes.model``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.execution.shards import Shards
from cryorbit.fourier.interpolation import join_mates
from cryorbit.fourier.turned_grid import average_turned
from cryorbit.geometry.grid_operators import grid_factors
from cryorbit.inference.exact_sums import ExactSums
from cryorbit.kernels.table import ZEROS
from cryorbit.volumes.model import ModelGrid


@dataclass(frozen=True, slots=True)
class ImageTerms:
    """What images add to the statistics beside D and W, float64; fields as of `VolumeStatistics`."""

    residual: Float[Tensor, " r"]
    class_mass: Float[Tensor, " k"]
    log_evidence: Float[Tensor, ""]
    images: Float[Tensor, ""]

    def __add__(self, other: ImageTerms) -> ImageTerms:
        """The terms of other images added."""
        return ImageTerms(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


@dataclass(frozen=True, slots=True)
class VolumeStatistics:
    """Posterior sums over images.

    Attributes
    ----------
    data
        D: inserted, posterior-weighted, CTF-weighted images.
    weight
        W: inserted, posterior-weighted CTF^2 over noise variance.
    residual
        Posterior mean of |residual|^2 over noise variance, summed over images and the coefficients of each shell.
    class_mass
        Sum over images of the posterior of each class.
    log_evidence
        Sum over images of the log-likelihood relative to pure noise, nats.
    images
        Number of images.
    """

    data: Complex[Tensor, "s k z q h"]
    weight: Float[Tensor, "s k z q h"]
    residual: Float[Tensor, " r"]
    class_mass: Float[Tensor, " k"]
    log_evidence: Float[Tensor, ""]
    images: Float[Tensor, ""]

    @classmethod
    def of(
        cls, data: Complex[Tensor, "s k z q h"], weight: Float[Tensor, "s k z q h"], terms: ImageTerms
    ) -> VolumeStatistics:
        """Statistics from D, W and all that images add beside them."""
        return cls(data, weight, terms.residual, terms.class_mass, terms.log_evidence, terms.images)


def no_terms(noise_variance: Float[Tensor, " r"], classes: int) -> ImageTerms:
    """The terms of no images, for the shells of a noise spectrum."""
    zero = torch.zeros((), dtype=torch.float64, device=noise_variance.device)
    return ImageTerms(zero.new_zeros(len(noise_variance)), zero.new_zeros(classes), zero, zero)


def empty_volumes(
    grid: ModelGrid, halves: int, classes: int, like: Complex[Tensor, "..."]
) -> tuple[Complex[Tensor, "s k z q h"], Float[Tensor, "s k z q h"]]:
    """D and W of no images, on the device and in the precision of ``like``."""
    shape = (halves, classes, *grid.shape)
    # slices reach four fifths of a padded grid's rows: the others should take no memory
    zeros = ZEROS.choose(like)
    return zeros(shape, like), zeros(shape, like.real)


def volume_statistics(sums: ExactSums, terms: ImageTerms, shards: Shards) -> VolumeStatistics:
    """Statistics from the sums of this process' share of the images, which are over, and the terms of all images.

    Raises
    ------
    InputError
        As for `ExactSums.planes`.
    """
    halves, classes = sums.counts.shape[:2]
    like = torch.zeros(0, dtype=torch.complex64, device=sums.counts.device)
    data, weight = empty_volumes(sums.band.grid, halves, classes, like)
    sums.gather_(shards.group)
    sums.write(data, weight)
    shards.watch.close()
    return VolumeStatistics.of(data, weight, terms)


def inserted_copies(
    rotations: Float[Tensor, "g 3 3"], symmetry: Float[Tensor, "s 3 3"] | None
) -> Iterator[Float[Tensor, "g 3 3"]]:
    """Those of the poses ``R s`` of a symmetric volume that are to be inserted; ``symmetrised`` adds the others.

    They are one for each coset of the operators that take the grid into itself: 1 of 24 for O, 5 of 60 for I.
    """
    if symmetry is None:
        yield rotations
    else:
        *_, cosets = grid_factors(symmetry)
        for operator in cosets.mT:
            yield rotations @ operator.to(rotations)


def symmetrised(
    statistics: VolumeStatistics, operators: Float[Tensor, "s 3 3"] | None, grid: ModelGrid
) -> VolumeStatistics:
    """The statistics with D and W summed over the operators that ``inserted_copies`` has left out.

    These move grid points onto each other, so the sums are those of all symmetry copies. The arrays of D and W are
    used again: there may be no room for others.
    """
    if operators is None:
        return statistics
    *exact, _ = grid_factors(operators)
    factors = [rotations for rotations in exact if len(rotations) > 1]
    if not factors:
        return statistics
    count = math.prod(len(rotations) for rotations in factors)
    half_volumes = (-1, *grid.shape)
    for volume, density in zip(statistics.data.view(half_volumes), statistics.weight.view(half_volumes), strict=True):
        for sums in (volume, density):
            sums[..., :1] = join_mates(sums[..., :1])
        for rotations in factors:
            average_turned(volume, density, rotations)
        for sums in (volume, density):
            sums *= count
            # the plane x = 0 is complete, and will be joined with its mates
            sums[..., 0] *= 0.5
    return statistics
