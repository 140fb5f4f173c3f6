"""Sufficient statistics of the unknown: D and W on Fourier grids, residual power, class masses. They add.

Axis legend: S half-sets, K classes, z q h the padded half grid of ``volumes.model``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.fourier.half_disc import HalfDisc
from cryorbit.fourier.interpolation import join_mates
from cryorbit.fourier.turned_grid import average_turned
from cryorbit.geometry.grid_operators import grid_factors
from cryorbit.kernels.table import ZEROS
from cryorbit.volumes.model import ModelGrid


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
        Posterior mean of |residual|^2 over noise variance, summed over images, for each half-disc coefficient.
    class_mass
        Sum over images of the posterior of each class.
    log_evidence
        Sum over images of the log-likelihood relative to pure noise, nats.
    images
        Number of images.
    """

    data: Complex[Tensor, "s k z q h"]
    weight: Float[Tensor, "s k z q h"]
    residual: Float[Tensor, " p"]
    class_mass: Float[Tensor, " k"]
    log_evidence: Float[Tensor, ""]
    images: Float[Tensor, ""]

    def tensors(self) -> list[Tensor]:
        """All sums, D and W first: these arrays are the largest there are."""
        return [getattr(self, field.name) for field in fields(self)]

    def half(self, half: int) -> VolumeStatistics:
        """Statistics of one half-set, to be added to: its part of D and W, the same memory, and sums from zero."""
        rows = slice(half, half + 1)
        sums = (torch.zeros_like(v) for v in (self.residual, self.class_mass, self.log_evidence, self.images))
        return VolumeStatistics(self.data[rows], self.weight[rows], *sums)

    def add_sums_(self, other: VolumeStatistics) -> None:
        """Add all but D and W of other images, in place."""
        for name in ("residual", "class_mass", "log_evidence", "images"):
            getattr(self, name).add_(getattr(other, name))


def empty_statistics(
    grid: ModelGrid, disc: HalfDisc, halves: int, classes: int, like: Complex[Tensor, "..."]
) -> VolumeStatistics:
    """Statistics of no images, on the device and in the precision of ``like``."""
    shape = (halves, classes, *grid.shape)
    zero = torch.zeros((), dtype=torch.float64, device=like.device)
    # slices reach four fifths of a padded grid's rows: the others should take no memory
    zeros = ZEROS.choose(like)
    return VolumeStatistics(
        data=zeros(shape, like),
        weight=zeros(shape, like.real),
        residual=torch.zeros(len(disc), dtype=torch.float64, device=like.device),
        class_mass=torch.zeros(classes, dtype=torch.float64, device=like.device),
        log_evidence=zero.clone(),
        images=zero.clone(),
    )


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
