"""The slice operator: from a working volume to unitary transforms of its projections, and its adjoint."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.fourier.half_disc import HalfDisc
from cryorbit.fourier.interpolation import gather_slices, insert_slices
from cryorbit.volumes.voxel import PAD, VoxelGrid, adjoint, synthesize


@dataclass(frozen=True, slots=True)
class SliceOperator:
    """Central slices at fixed rotations: a linear map from a real volume to G slices of P coefficients.

    Attributes
    ----------
    grid
        The working box of the volume.
    disc
        The coefficients of a slice.
    rotations
        Poses of the slices.
    """

    grid: VoxelGrid
    disc: HalfDisc
    rotations: Float[Tensor, "g 3 3"]

    def project(self, volume: Float[Tensor, "m m m"]) -> Complex[Tensor, "g p"]:
        """Slices of the volume."""
        return gather_slices(synthesize(volume, self.grid), self.rotations, self.disc.frequencies, PAD)

    def backproject(self, slices: Complex[Tensor, "g p"]) -> Float[Tensor, "m m m"]:
        """Adjoint of ``project`` under ``Re sum conj(a) b`` on slices."""
        return adjoint(self._insert(slices, slices.real)[0], self.grid)

    def normal(self, weights: Float[Tensor, "g p"]) -> Float[Tensor, "q q h"]:
        """Diagonal majoriser, on the Fourier grid, of ``sum_g A_g^T diag(w_g) A_g``: the inserted weights."""
        return self._insert(torch.complex(weights, torch.zeros_like(weights)), weights)[1]

    def _insert(
        self, values: Complex[Tensor, "g p"], weights: Float[Tensor, "g p"]
    ) -> tuple[Complex[Tensor, "q q h"], Float[Tensor, "q q h"]]:
        return insert_slices(values, weights, self.rotations, self.disc.frequencies, self.grid.padded, PAD)
