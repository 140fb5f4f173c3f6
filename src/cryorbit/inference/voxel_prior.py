"""A prior of density as the search on a grid of poses sees it: its part of a mini-batch, beside D and W."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.inference.priors import DensityPrior
from cryorbit.volumes.voxel import VoxelGrid, quotient


@dataclass(frozen=True, slots=True)
class VoxelPrior:
    """The prior of working volumes, an equal part of it for every image.

    Attributes
    ----------
    prior
        Of the voxels of the full box.
    grid
        Geometry of the working volumes.
    terms
        Images N that share it.
    """

    prior: DensityPrior
    grid: VoxelGrid
    terms: int

    def value(self, volume: Float[Tensor, "k m m m"]) -> Float[Tensor, ""]:
        """An image's part of ``-log p``, nats, up to a constant."""
        return self._share * self.prior.energy(volume)

    def pull(self, volume: Float[Tensor, "k m m m"]) -> Complex[Tensor, "k q q h"]:
        """Minus its gradient as data on the Fourier grid, to be added to an image's mean of ``D - W V``.

        The volume that `VoxelGrid.solve` makes of it is the gradient in the metric of the curvature that divides it,
        as it is for D.
        """
        # solve is the adjoint of slicing but for this factor, when it divides by one
        factor = 0.5 * self.grid.scale**2 * self.grid.padded**3
        return quotient(self.prior.gradient(volume), self.grid) * (-self._share / factor)

    @property
    def _share(self) -> float:
        """Part of the prior of an image, for each voxel of the working grid."""
        return (self.grid.box / self.grid.size) ** 3 / self.terms
