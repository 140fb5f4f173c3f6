"""Between voxel maps and the spherical Bessel basis.

A map of N^3 voxels has its transform on the integer frequencies; those below the cutoff are evaluated, or fitted.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.conventions import HERMITIAN_WEIGHT
from cryorbit.core.errors import InputError
from cryorbit.volumes.spherical_bessel import SphericalBessel

DIMS = (-3, -2, -1)


def to_voxels(basis: SphericalBessel, coefficients: Float[Tensor, "*k d"], box: int) -> Float[Tensor, "*k n n n"]:
    """The map whose transform has the values of the sum at the integer frequencies below the cutoff, else zeros."""
    points = _ball(basis, box, coefficients)
    x, y, z = points.unbind(-1)
    values = basis.evaluate(coefficients, points.to(coefficients))
    half = values.new_zeros(*coefficients.shape[:-1], box, box, box // 2 + 1)
    half[..., z % box, y % box, x] = values
    return torch.fft.fftshift(torch.fft.irfftn(half, s=(box,) * 3, dim=DIMS), dim=DIMS) * box


def from_voxels(basis: SphericalBessel, volume: Float[Tensor, "*k n n n"]) -> Float[Tensor, "*k d"]:
    """Coefficients of the sum that fits a map's transform best, in least squares over the integer frequencies.

    Raises
    ------
    InputError
        The map's frequencies do not determine the coefficients.
    """
    box = volume.shape[-1]
    points = _ball(basis, box, volume)
    x, y, z = points.unbind(-1)
    half = torch.fft.rfftn(torch.fft.ifftshift(volume, dim=DIMS), dim=DIMS) / box
    # points with x = 0 are there with their mates, the others stand for theirs
    weights = torch.where(x > 0, HERMITIAN_WEIGHT, 1.0).to(volume)
    values = half[..., z % box, y % box, x] * weights
    projected = basis.adjoint(values, points.to(volume))
    factor, info = torch.linalg.cholesky_ex(_gram(basis, points.to(volume), weights))
    if info:
        raise InputError(f"a map of {box} voxels a side does not determine {basis.size} coefficients")
    return torch.cholesky_solve(projected[..., None], factor)[..., 0]


def _gram(basis: SphericalBessel, points: Float[Tensor, "p 3"], weights: Float[Tensor, " p"]) -> Float[Tensor, "d d"]:
    """Weighted inner products of all functions; those of a real with an imaginary one are zero."""
    odd = basis.odd(points)
    total = points.new_zeros(basis.size, basis.size)
    parts = basis.in_chunks(points)
    for part, weight in zip(parts, weights.split([len(each) for each in parts]), strict=True):
        functions = basis.functions(part)
        total += (functions * weight) @ functions.mT
    return total.masked_fill_(odd != odd[:, None], 0.0)


def _ball(basis: SphericalBessel, box: int, like: Tensor) -> Int[Tensor, "p 3"]:
    """Integer frequencies ``(x, y, z)`` of the half space x >= 0 below the cutoff."""
    if basis.cutoff > box / 2:
        raise InputError(f"a box of {box} voxels holds no frequencies up to {basis.cutoff:g}", fix="take a larger box")
    axis = torch.arange(-(box // 2), box // 2 + 1, device=like.device)
    z, y, x = torch.meshgrid(axis, axis, axis[axis >= 0], indexing="ij")
    points = torch.stack([x, y, z], -1).flatten(0, 2)
    return points[points.square().sum(-1) < basis.cutoff**2]
