"""Superposition of two maps over all rotations, displacements and both hands.

Two maps of one particle, refined apart, differ by a rigid motion and perhaps by the hand; no comparison of them has
a meaning before that is undone. The search is exhaustive at low resolution and continuous after that.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.evaluation.rigid_motion import background_level, move_map
from cryorbit.evaluation.rigid_refine import refine_motions
from cryorbit.evaluation.rigid_search import search_motions
from cryorbit.geometry.rotations import angular_distance, nearest_rotation
from cryorbit.imaging.masks import soft_ball
from cryorbit.volumes.voxel import resample

WORKING_BOX = 66
"""Box in which maps are aligned; 32 Fourier pixels fix the rotation to a tenth of a degree."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """How a map was brought onto a reference.

    ``aligned(x) = moving(rotation.T @ (x - shift_A))`` about the centre voxel, where ``moving`` was mirrored first
    (z turned into -z) if ``hand_flipped``.

    Attributes
    ----------
    rotation
        Acts on ``(x, y, z)``, float64.
    shift_A
        ``(x, y, z)``, A, float64.
    hand_flipped
        Whether the moving map was mirrored.
    correlation
        Pearson correlation of the aligned map with the reference over the box.
    aligned
        The moving map on the reference's frame, on its own grey scale.
    """

    rotation: Float[Tensor, "3 3"]
    shift_A: Float[Tensor, " 3"]  # noqa: N815
    hand_flipped: bool
    correlation: float
    aligned: Float[Tensor, "n n n"]

    @property
    def angle_deg(self) -> float:
        """Angle of the rotation, degrees."""
        return float(angular_distance(self.rotation, torch.eye(3).to(self.rotation)))


def align_maps(moving: Float[Tensor, "n n n"], reference: Float[Tensor, "n n n"], pixel_size: float) -> Alignment:
    """Superpose ``moving`` on ``reference``, trying every rotation, both hands and displacements to 0.3 box.

    Grey scales may differ by an offset and by any radial filter; noise may differ by shell.

    Parameters
    ----------
    moving, reference
        Maps ``[z, y, x]`` of one even box.
    pixel_size
        A per voxel of both maps.
    """
    box = moving.shape[-1]
    a, b = (_working_map(volume) for volume in (moving, reference))
    best = refine_motions(a, b, search_motions(a, b))[torch.tensor([0])]
    flipped = bool(best.inverted[0])
    # products in single precision are rotations up to rounding only
    rotation = nearest_rotation(best.rotations[0].double())
    if flipped:
        # inversion is the mirror z -> -z followed by half a turn about z
        rotation = rotation * rotation.new_tensor([-1.0, -1.0, 1.0])
    shift = best.shifts[0].double() * box
    aligned = move_map(moving, rotation, shift, mirrored=flipped)
    return Alignment(rotation, shift * pixel_size, flipped, correlation(aligned, reference), aligned)


def correlation(
    a: Float[Tensor, "n n n"], b: Float[Tensor, "n n n"], mask: Float[Tensor, "n n n"] | None = None
) -> float:
    """Pearson correlation of two maps over the box, or over ``mask`` (weights in [0, 1])."""
    weight = torch.ones_like(a) if mask is None else mask
    weight = weight / weight.sum()
    a, b = a - (weight * a).sum(), b - (weight * b).sum()
    covariance, power_a, power_b = ((weight * p).sum() for p in (a * b, a * a, b * b))
    # a map that is constant correlates with nothing
    return float(covariance / torch.sqrt(power_a * power_b).clamp(min=torch.finfo(a.dtype).tiny))


def _working_map(volume: Float[Tensor, "n n n"]) -> Float[Tensor, "m m m"]:
    """The map in a box large enough for the alignment, its background at zero outside the inscribed sphere."""
    working = resample(volume.float(), min(volume.shape[-1], WORKING_BOX))
    half = working.shape[-1] / 2
    inside = soft_ball(working.shape[-1], 0.9 * half, 0.1 * half).to(working)
    return (working - background_level(working)) * inside
