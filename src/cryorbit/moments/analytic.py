"""Moments of a model: a weighted sum over the nodes of a quadrature, exact for what the quadrature integrates exactly.

With slices ``y_i`` of the model at the nodes and ``W_i`` the density there times the node's weight,

    E y = sum_i W_i y_i,        E y y^T = sum_i W_i y_i y_i^T.

For a volume of degree L in spherical harmonics and a density of degree P, first moments need rules of degree L + P and
second moments of degree 2 L + P on the sphere and 2 L + 1 angles in plane. Shifts of a signal on a grid are their own
nodes. Everything is differentiable.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.geometry.so3_quadrature import RotationRule, product_rule
from cryorbit.geometry.sphere_quadrature import LEBEDEV_DEGREES, lebedev
from cryorbit.moments.pair import Moments


def slice_moments(slices: Float[Tensor, "*b q d"], weights: Float[Tensor, "*b q"]) -> Moments:
    """Moments of slices taken with these weights, which add up to 1."""
    weighted = weights[..., None] * slices
    return Moments(weighted.sum(-2), weighted.mT @ slices)


def second_moment_rule(volume_degree: int, density_degree: int) -> RotationRule:
    """Rotations and weights that give second moments exactly (see the module's docstring)."""
    needed = 2 * volume_degree + density_degree
    sphere = lebedev(next(degree for degree in LEBEDEV_DEGREES if degree >= needed))
    return product_rule(sphere, 2 * volume_degree + 1)


def blur_by_shifts(moments: Moments, frequencies: Float[Tensor, "p 2"], eta: Float[Tensor, ""]) -> Moments:
    """Moments of half-disc vectors under normal shifts (Paul 2024, equations 3.6 and 3.7).

    A shift turns the phase of coefficient k by k . t, so ``E x_k`` loses a factor ``exp(-eta^2 |k|^2 / 2)``,
    ``E x_k conj(x_l)`` one with ``|k - l|^2`` and ``E x_k x_l`` one with ``|k + l|^2``.

    Parameters
    ----------
    moments
        Of real vectors of half-disc coefficients.
    frequencies
        Radians a pixel.
    eta
        Standard deviation of the shifts along each axis, pixels.
    """

    def loss(squares: Tensor) -> Tensor:
        return torch.exp(-0.5 * eta**2 * squares)

    far = loss((frequencies[:, None] - frequencies).square().sum(-1))
    near = loss((frequencies[:, None] + frequencies).square().sum(-1))
    keep, mix = 0.5 * (far + near), 0.5 * (far - near)
    upper, lower = moments.second.chunk(2, -2)
    (rr, ri), (ir, ii) = upper.chunk(2, -1), lower.chunk(2, -1)
    top = torch.cat([keep * rr + mix * ii, keep * ri - mix * ir], -1)
    bottom = torch.cat([keep * ir - mix * ri, keep * ii + mix * rr], -1)
    damp = loss(frequencies.square().sum(-1))
    return Moments(moments.first * torch.cat([damp, damp]), torch.cat([top, bottom], -2))
