"""Whether maps agree with their copies under a point group, at the axes where the group has them.

Two maps of one thing, its half-maps or a map and itself, are compared with each other and with each other's turned
copies. Noise is not shared by half-maps, so that the ratio of the two is 1 for a symmetric particle however noisy its
maps are. What does not depend on direction is taken out: it agrees with its copies in any case.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.geometry.ball_points import ball_points
from cryorbit.inference.turned_map import sample_map
from cryorbit.volumes.voxel import resample

SIZE = 48
"""Box on which maps are compared: symmetry is plain at low resolution."""
RADII, DIRECTION_ORDER = 16, 3
LEAST_SHARED = 0.1
"""Correlation of the two maps, direction by direction, below which nothing can be told."""
LEAST_STRUCTURE = 1e-3
"""Part of the maps' power that must depend on direction for anything to be told."""
SYMMETRIC = 0.6
"""Ratio from which on maps have a symmetry: it is 0.9 or more where they have, and 0.5 at most where they have not."""


def copies_agreement(
    first: Float[Tensor, "m m m"], second: Float[Tensor, "m m m"], group: Float[Tensor, "g 3 3"], radius: float
) -> float | None:
    """How far two maps agree with each other's copies, over how far they agree as they are.

    Parameters
    ----------
    first, second
        Maps with the axes of the group through the middle of the box: half-maps, or a map twice.
    group
        Operators, the identity first.
    radius
        Of the ball in which they are compared, voxels.

    Returns
    -------
    float or None
        1 for a symmetric particle. None where the maps do not share enough that depends on direction.
    """
    size = min(SIZE, len(first))
    points = ball_points(radius * size / len(first), RADII, DIRECTION_ORDER).to(first)
    # interpolated at half the voxel size
    fine = [resample(resample(volume, size), 2 * size) for volume in (first, second)]
    reference, power = _by_direction(sample_map(fine[0], 2 * points))
    other, other_power = _by_direction(sample_map(fine[1], 2 * points))
    shared = float((reference * other).sum())
    norms = float(reference.norm() * other.norm())
    if shared <= LEAST_SHARED * norms or norms < LEAST_STRUCTURE * float((power * other_power) ** 0.5):
        return None
    copies = [_by_direction(sample_map(fine[1], 2 * points @ operator))[0] for operator in group[1:].to(first)]
    return float((reference * torch.stack(copies).mean(0)).sum()) / shared


def _by_direction(values: Float[Tensor, "r d"]) -> tuple[Float[Tensor, "r d"], Float[Tensor, ""]]:
    """What is left of values on spheres when the mean over each is taken out, and their power with it."""
    return values - values.mean(-1, keepdim=True), values.square().sum()
