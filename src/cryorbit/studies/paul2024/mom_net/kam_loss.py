"""Distances between polar moments of images, in the norm of the plane; differentiable, batch axes first.

A radius k stands for a circle, so it counts k-fold, and a wave of order n has a mean square of a half but for order 0.
Moments that are weighted so have the norms of functions on the plane, up to a factor, and `losses` compares them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.moments.losses import kam_loss, relative_errors, weighted_loss
from cryorbit.moments.polar import PolarMoments


@dataclass(frozen=True, slots=True)
class PlaneMoments:
    """Polar moments in arrays whose norms are those on the plane; blocks of the second stand below one another."""

    first: Float[Tensor, "*b k"]
    second: Float[Tensor, "*b rows k"]


def weigh_for_plane(moments: PolarMoments, radii: Float[Tensor, " k"]) -> PlaneMoments:
    """The moments, every circle and every wave weighted by its part of the plane."""
    root = radii.sqrt()
    parity = torch.full_like(moments.cosines[..., :1, :1], 0.5**0.5)
    parity[..., 0, :, :] = 1.0
    weight = parity * root[:, None] * root
    second = torch.cat([moments.cosines * weight, moments.sines * weight], -3)
    return PlaneMoments(moments.first * root, second.flatten(-3, -2))


def polar_errors(
    predicted: PolarMoments, target: PolarMoments, radii: Float[Tensor, " k"]
) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
    """Relative errors of first and second moments, relative to the target (Paul 2024, equation 2.10)."""
    return relative_errors(weigh_for_plane(predicted, radii), weigh_for_plane(target, radii))


def polar_kam_loss(predicted: PolarMoments, target: PolarMoments, radii: Float[Tensor, " k"]) -> Float[Tensor, "*b"]:
    """Sum of the relative errors (Paul 2024, equation 3.13)."""
    return kam_loss(weigh_for_plane(predicted, radii), weigh_for_plane(target, radii))


def polar_weighted_loss(
    predicted: PolarMoments, target: PolarMoments, radii: Float[Tensor, " k"], weight: float
) -> Float[Tensor, "*b"]:
    """Error of the first moments plus ``weight`` times that of the second (Paul 2024, equation 2.17)."""
    return weighted_loss(weigh_for_plane(predicted, radii), weigh_for_plane(target, radii), weight)
