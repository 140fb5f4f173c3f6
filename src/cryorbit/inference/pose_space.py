"""All the poses that an image may have, of which grids and candidates are samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from cryorbit.geometry.so3_grid import rotation_count, subdivide, subdivide_in_plane
from cryorbit.inference.pose_prior import PosePrior


@dataclass(frozen=True, slots=True)
class PoseSpace:
    """Rotations of one asymmetric unit and shifts in a disc, and how probable they are.

    Attributes
    ----------
    shift_range
        Largest shift, pixels.
    symmetry
        Operators of the point group, the identity first: poses ``R`` and ``R @ g`` are one. None: C1.
    prior
        Density of the poses; None: all are equally probable.
    """

    shift_range: float
    symmetry: Float[Tensor, "s 3 3"] | None = None
    prior: PosePrior | None = None

    def count(self, spacing: float, shift_step: float) -> float:
        """Poses on a grid of this angular spacing (degrees) and step of shifts (pixels)."""
        copies = 1 if self.symmetry is None else len(self.symmetry)
        return rotation_count(spacing) / copies * math.pi * (self.shift_range / shift_step) ** 2

    def children(self, rotations: Float[Tensor, "n 3 3"], spacing: float) -> Float[Tensor, "n 8 3 3"]:
        """Rotations that sample the cells of a grid of this spacing (degrees) at half of it."""
        return subdivide(rotations, spacing)


@dataclass(frozen=True, slots=True)
class InPlaneSpace:
    """Rotations in the plane of the image and shifts in a disc: the poses of an image that is the unknown itself.

    Attributes
    ----------
    shift_range
        Largest shift, pixels.
    """

    shift_range: float
    symmetry: ClassVar[None] = None
    prior: ClassVar[None] = None

    def count(self, spacing: float, shift_step: float) -> float:
        """Poses on a grid of this angular spacing (degrees) and step of shifts (pixels)."""
        return 360 / spacing * math.pi * (self.shift_range / shift_step) ** 2

    def children(self, rotations: Float[Tensor, "n 3 3"], spacing: float) -> Float[Tensor, "n 2 3 3"]:
        """Rotations that sample the cells of a grid of this spacing (degrees) at half of it."""
        return subdivide_in_plane(rotations, spacing)
