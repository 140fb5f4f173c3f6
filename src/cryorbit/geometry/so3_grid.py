"""Equal-volume grids on SO(3): HEALPix view directions times equispaced in-plane angles, and their refinement.

Order ``o`` has 12 * 4^o directions and 6 * 2^o in-plane angles, 72 * 8^o rotations in all, about 60 / 2^o degrees
apart (Yershova et al. 2010; the grid of RELION). All rotations have the same quadrature weight.
"""

from __future__ import annotations

import itertools

import healpix
import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.geometry.rotations import euler_to_matrix, rotvec_to_matrix


def spacing_deg(order: int) -> float:
    """Nominal angular spacing of the grid of this order, degrees."""
    return 60.0 / 2**order


def rotation_count(spacing: float) -> float:
    """Rotations of an equal-volume grid of this nominal spacing (degrees), also between two orders."""
    return 72 * (60 / spacing) ** 3


def order_for(spacing: float) -> int:
    """The coarsest order whose spacing does not exceed ``spacing`` degrees."""
    order = 0
    while spacing_deg(order) > spacing:
        order += 1
    return order


def hopf_grid(order: int) -> Float[Tensor, "r 3 3"]:
    """All rotations of the grid, float64; the in-plane angle runs fastest, directions in nested HEALPix order."""
    nside = 2**order
    tilt, rot = (torch.as_tensor(a) for a in healpix.pix2ang(nside, range(12 * nside**2), nest=True))
    psi_count = 6 * nside
    psi = (torch.arange(psi_count, dtype=torch.float64) + 0.5) * (360.0 / psi_count)
    angles = torch.stack(
        [
            torch.rad2deg(rot).repeat_interleave(psi_count),
            torch.rad2deg(tilt).repeat_interleave(psi_count),
            psi.repeat(len(rot)),
        ],
        -1,
    )
    return euler_to_matrix(angles)


def paired_grid(order: int) -> Float[Tensor, "r 3 3"]:
    """The rotations of ``hopf_grid``, each followed by the one half a turn further in the plane of the image.

    The slices of such a pair are each other's complex conjugates.
    """
    psi_count = 6 * 2**order
    by_direction = hopf_grid(order).unflatten(0, (-1, 2, psi_count // 2))
    return by_direction.transpose(1, 2).flatten(0, 2)


def subdivide(rotations: Float[Tensor, "*n 3 3"], spacing: float) -> Float[Tensor, "*n 8 3 3"]:
    """Eight children of each rotation, at +- spacing / 4 along each axis of the image's frame.

    Children of a grid of this ``spacing`` (degrees) sample its cells at half the spacing. They are taken in the
    tangent space at each rotation, where a nested index is not: arithmetic children are far apart at the poles.
    """
    return _halfway(rotations, spacing, list(itertools.product((-1.0, 1.0), repeat=3)))


def subdivide_in_plane(rotations: Float[Tensor, "*n 3 3"], spacing: float) -> Float[Tensor, "*n 2 3 3"]:
    """Two children of each rotation, at +- spacing / 4 (degrees) in the plane of the image."""
    return _halfway(rotations, spacing, [(0.0, 0.0, -1.0), (0.0, 0.0, 1.0)])


def neighbourhood(rotations: Float[Tensor, "*n 3 3"], spacing: float, reach: int) -> Float[Tensor, "*n c 3 3"]:
    """Rotations within ``reach`` steps of ``spacing`` degrees (a ball in the tangent space), the centre first."""
    steps = range(-reach, reach + 1)
    lattice = torch.tensor(list(itertools.product(steps, repeat=3)), dtype=torch.float64)
    inside = lattice[lattice.norm(dim=-1) <= reach + 0.5]
    ordered = inside[inside.norm(dim=-1).argsort(stable=True)]
    offsets = rotvec_to_matrix(torch.deg2rad(ordered * spacing)).to(rotations)
    return offsets @ rotations.unsqueeze(-3)


def _halfway(
    rotations: Float[Tensor, "*n 3 3"], spacing: float, corners: list[tuple[float, ...]]
) -> Float[Tensor, "*n c 3 3"]:
    """Rotations between each one and the corners of its cell, which are given in the image's frame."""
    offsets = rotvec_to_matrix(torch.deg2rad(torch.tensor(corners, dtype=torch.float64) * spacing / 4))
    return offsets.to(rotations) @ rotations.unsqueeze(-3)
