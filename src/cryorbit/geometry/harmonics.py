"""Real spherical harmonics, and how they turn with rotations.

Harmonics are ordered by degree l, then order m = -l ... l: ``Y_l,m ~ cos m phi`` and ``Y_l,-m ~ sin m phi`` for m > 0.
They are orthonormal on the sphere.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Complex, Float
from scipy.special import sph_harm_y_all
from torch import Tensor

from cryorbit.geometry.rotations import matrix_to_euler


def real_harmonics(directions: Float[Tensor, "*p 3"], degree: int) -> Float[Tensor, "*p h"]:
    """All real harmonics up to ``degree`` at directions ``(x, y, z)`` of any length; the null vector counts as z."""
    x, y, z = directions.detach().cpu().double().unbind(-1)
    polar, azimuth = torch.atan2(torch.hypot(x, y), z).numpy(), torch.atan2(y, x).numpy()
    complex_ = np.moveaxis(sph_harm_y_all(degree, degree, polar, azimuth), (0, 1), (-2, -1))
    columns = []
    for ell in range(degree + 1):
        orders = np.arange(1, ell + 1)
        positive = math.sqrt(2) * (-1.0) ** orders * complex_[..., ell, 1 : ell + 1]
        columns += [positive.imag[..., ::-1], complex_[..., ell, :1].real, positive.real]
    return torch.from_numpy(np.concatenate(columns, -1)).to(directions)


def turning_matrices(rotations: Float[Tensor, "*g 3 3"], degree: int) -> tuple[Float[Tensor, "*g _m _m"], ...]:
    """Matrices ``D_l`` with ``Y_l(R.T u) = D_l Y_l(u)`` for all directions u: Wigner matrices in the real basis.

    A turn about y is one about z, seen from axes that a quarter turn about x has moved, which is the same for all.
    """
    rot, tilt, psi = torch.deg2rad(matrix_to_euler(rotations.double())).unbind(-1)
    matrices = []
    for ell in range(degree + 1):
        quarter = _quarter_turn(ell).to(rot)
        turned = _about_z(rot, ell) @ quarter @ _about_z(tilt, ell) @ quarter.mT @ _about_z(psi, ell)
        matrices.append(turned.to(rotations))
    return tuple(matrices)


def _about_z(angle: Float[Tensor, "*g"], degree: int) -> Float[Tensor, "*g m m"]:
    """The matrix of a turn about z: cosines on the diagonal, sines on the other one."""
    angles = angle[..., None] * torch.arange(-degree, degree + 1).to(angle)
    sines = torch.diag_embed(angles.sin().flip(-1)).flip(-1)
    return torch.diag_embed(angles.cos()) + sines


@lru_cache
def _quarter_turn(degree: int) -> Float[Tensor, "m m"]:
    """The matrix of a turn about x by -90 degrees, which takes z to y: the exponential of its generator; float64."""
    orders = np.arange(-degree, degree)
    ladder = torch.from_numpy(np.sqrt(degree * (degree + 1) - orders * (orders + 1)) / 2).to(torch.complex128)
    generator = torch.diag(ladder, 1) + torch.diag(ladder, -1)
    basis = _real_from_complex(degree)
    return (basis @ torch.linalg.matrix_exp(-0.5j * math.pi * generator) @ basis.mH).real


def _real_from_complex(degree: int) -> Complex[Tensor, "m m"]:
    """The unitary matrix that makes real harmonics of complex ones."""
    basis = torch.zeros(2 * degree + 1, 2 * degree + 1, dtype=torch.complex128)
    basis[degree, degree] = 1.0
    for order in range(1, degree + 1):
        up, down, sign = degree + order, degree - order, (-1.0) ** order
        entries = torch.tensor([sign, 1.0, -1j * sign, 1j], dtype=torch.complex128)
        basis[[up, up, down, down], [up, down, up, down]] = math.sqrt(0.5) * entries
    return basis
