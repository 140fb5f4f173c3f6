"""Points that fill a ball, sphere by sphere."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.geometry.hemisphere import hemisphere


def ball_points(radius: float, spheres: int, order: int) -> Float[Tensor, "r d 3"]:
    """Spheres of evenly spread points ``(x, y, z)``, denser outwards, where most of a particle is; float64.

    Parameters
    ----------
    radius
        Of the ball.
    spheres
        How many there are.
    order
        Of the HEALPix grid of their points.
    """
    radii = radius * ((torch.arange(spheres, dtype=torch.float64) + 0.5) / spheres).sqrt()
    half = hemisphere(order)
    return radii[:, None, None] * torch.cat([half, -half])
