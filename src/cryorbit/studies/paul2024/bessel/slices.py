"""Slices of volumes in the spherical Bessel basis at fixed poses: a real linear map with exact adjoint and normal map.

A slice has two factors: the coefficients, turned into the image's frame, and the basis functions on the plane z = 0,
which are the same for all poses. It is told in the real coordinates of ``plane_coordinates``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.geometry.harmonics import turning_matrices
from cryorbit.studies.paul2024.bessel.plane_coordinates import to_coordinates
from cryorbit.volumes.spherical_bessel import SphericalBessel

RANK_TOLERANCE = 1e-10
"""Singular value, relative to the largest, below which a direction holds no slices."""


@dataclass(frozen=True, slots=True)
class BesselSlices:
    """Slices at G poses; made by ``of``.

    Attributes
    ----------
    basis
        Basis of the volume.
    plane
        Coordinates of every basis function on the plane z = 0.
    turns
        Matrices that turn coefficients into the frame of every pose, a degree each.
    """

    basis: SphericalBessel
    plane: Float[Tensor, "d q"]
    turns: tuple[Float[Tensor, "g _m _m"], ...]

    @classmethod
    def of(
        cls, basis: SphericalBessel, frequencies: Float[Tensor, "p 2"], rotations: Float[Tensor, "g 3 3"]
    ) -> BesselSlices:
        """Slices at ``rotations`` on the points ``(kx, ky)`` of a half plane, with or without the origin."""
        points = torch.nn.functional.pad(frequencies, (0, 1)).to(rotations)
        values = basis.evaluate(torch.eye(basis.size).to(rotations), points)
        return cls(basis, to_coordinates(values, frequencies), turning_matrices(rotations, basis.degree))

    def project(self, coefficients: Float[Tensor, "*b d"]) -> Float[Tensor, "*b g q"]:
        """Slices of volumes."""
        return self.basis.turn(coefficients, self.turns) @ self.plane

    def backproject(self, slices: Float[Tensor, "*b g q"]) -> Float[Tensor, "*b d"]:
        """Adjoint of ``project``."""
        return self.basis.turn_back(slices @ self.plane.mT, self.turns)

    def normal_matrices(self, gram: Float[Tensor, "q q"] | None = None) -> Float[Tensor, "g d d"]:
        """``A_g^T K A_g`` of every pose, with weights K between coordinates (one, if it is not given)."""
        matrices = self.project(torch.eye(self.basis.size).to(self.plane)).movedim(0, 1)
        return (matrices if gram is None else matrices @ gram) @ matrices.mT

    def compressed(self) -> tuple[BesselSlices, Float[Tensor, "q r"]]:
        """The same slices in an orthonormal basis of the space that they fill, and that basis.

        Only functions of even degree plus order are seen on the plane, so the space has fewer dimensions than an image
        has pixels; what an image has outside of it tells nothing of the volume.
        """
        _, sizes, rows = torch.linalg.svd(self.plane, full_matrices=False)
        directions = rows[sizes > RANK_TOLERANCE * sizes[0]].mT
        return BesselSlices(self.basis, self.plane @ directions, self.turns), directions
