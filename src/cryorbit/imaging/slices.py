"""The slice operator: from a working unknown to unitary transforms of its projections, and its adjoint."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.fourier.half_disc import HalfDisc
from cryorbit.volumes.model import ModelGrid


@dataclass(frozen=True, slots=True)
class SliceOperator:
    """Central slices at fixed rotations: a linear map from a real unknown to G slices of P coefficients.

    Attributes
    ----------
    grid
        Geometry of the unknown.
    disc
        The coefficients of a slice.
    rotations
        Poses of the slices.
    """

    grid: ModelGrid
    disc: HalfDisc
    rotations: Float[Tensor, "g 3 3"]

    def project(self, unknown: Float[Tensor, "..."]) -> Complex[Tensor, "g p"]:
        """Slices of the unknown."""
        first = torch.zeros(len(self.rotations), dtype=torch.long, device=self.rotations.device)
        return self.grid.model(unknown[None]).slices(first, self.rotations, self.disc.frequencies)

    def backproject(self, slices: Complex[Tensor, "g p"]) -> Float[Tensor, "..."]:
        """Adjoint of ``project`` under ``Re sum conj(a) b`` on slices."""
        return self.grid.adjoint(self._insert(slices, slices.real)[0])

    def normal(self, weights: Float[Tensor, "g p"]) -> Float[Tensor, "z q h"]:
        """Diagonal majoriser, on the Fourier grid, of ``sum_g A_g^T diag(w_g) A_g``: the inserted weights."""
        return self._insert(torch.complex(weights, torch.zeros_like(weights)), weights)[1]

    def _insert(
        self, values: Complex[Tensor, "g p"], weights: Float[Tensor, "g p"]
    ) -> tuple[Complex[Tensor, "z q h"], Float[Tensor, "z q h"]]:
        return self.grid.insert(values, weights, self.rotations, self.disc.frequencies)
