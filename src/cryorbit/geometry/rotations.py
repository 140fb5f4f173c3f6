"""Rotation matrices in RELION's convention, and what converts to and from them.

A rotation is a tensor ``(..., 3, 3)``: RELION's matrix ``A``, the transpose of the intrinsic ZYZ rotation.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def euler_to_matrix(angles_deg: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3 3"]:
    """RELION's matrices of the angles ``(rot, tilt, psi)`` in degrees."""
    rot, tilt, psi = torch.deg2rad(angles_deg).unbind(-1)
    return (_about_z(rot) @ _about_y(tilt) @ _about_z(psi)).mT


def matrix_to_euler(rotations: Float[Tensor, "*n 3 3"]) -> Float[Tensor, "*n 3"]:
    """Angles ``(rot, tilt, psi)`` in degrees, tilt in [0, 180]; rot is 0 where only rot +- psi is determined."""
    intrinsic = rotations.mT
    sin_tilt = torch.hypot(intrinsic[..., 0, 2], intrinsic[..., 1, 2])
    tilt = torch.atan2(sin_tilt, intrinsic[..., 2, 2])
    pole = sin_tilt < 1e-6 if rotations.dtype == torch.float64 else sin_tilt < 1e-4
    rot = torch.where(pole, 0.0, torch.atan2(intrinsic[..., 1, 2], intrinsic[..., 0, 2]))
    psi_off_pole = torch.atan2(intrinsic[..., 2, 1], -intrinsic[..., 2, 0])
    psi_at_pole = torch.atan2(intrinsic[..., 1, 0], intrinsic[..., 1, 1])
    psi = torch.where(pole, psi_at_pole, psi_off_pole)
    return torch.rad2deg(torch.stack([rot, tilt, psi], -1))


def rotvec_to_matrix(rotvec: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3 3"]:
    """Matrices ``exp([v]_x)`` of rotation vectors in radians."""
    x, y, z = rotvec.unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    return torch.linalg.matrix_exp(skew)


def quaternion_to_matrix(quaternion: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 3 3"]:
    """Matrices of unit quaternions ``(w, x, y, z)``; the input is normalised."""
    w, x, y, z = torch.nn.functional.normalize(quaternion, dim=-1).unbind(-1)
    entries = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(entries, -1).unflatten(-1, (3, 3))


def random_rotations(count: int, generator: torch.Generator) -> Float[Tensor, "n 3 3"]:
    """Rotations uniform on SO(3), float64, on the generator's device."""
    normal = torch.randn(count, 4, generator=generator, dtype=torch.float64, device=generator.device)
    return quaternion_to_matrix(normal)


def angular_distance(a: Float[Tensor, "*#n 3 3"], b: Float[Tensor, "*#n 3 3"]) -> Float[Tensor, "..."]:
    """Angle in degrees of the rotation that takes ``a`` to ``b`` (broadcast); accurate also for small angles."""
    chord = torch.linalg.matrix_norm(a - b)
    return torch.rad2deg(2 * torch.asin((chord / 8**0.5).clamp(max=1.0)))


def nearest_rotation(matrix: Float[Tensor, "*n 3 3"]) -> Float[Tensor, "*n 3 3"]:
    """The rotation nearest to a matrix in the Frobenius norm (by singular value decomposition)."""
    u, _, vh = torch.linalg.svd(matrix)
    sign = torch.linalg.det(u @ vh)
    u = torch.cat([u[..., :2], u[..., 2:] * sign[..., None, None]], -1)
    return u @ vh


def _about_z(angle: Float[Tensor, "*n"]) -> Float[Tensor, "*n 3 3"]:
    c, s, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([c, -s, zero, s, c, zero, zero, zero, one], -1).unflatten(-1, (3, 3))


def _about_y(angle: Float[Tensor, "*n"]) -> Float[Tensor, "*n 3 3"]:
    c, s, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([c, zero, s, zero, one, zero, -s, zero, c], -1).unflatten(-1, (3, 3))
