"""Whether a mask lies on the particle: no correlation within the mask tells."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.evaluation.rigid_motion import background_level
from cryorbit.imaging.masks import soft_ball
from cryorbit.volumes.voxel import resample

WORKING_BOX = 32
"""Box in which a mask is held against density, voxels: at low resolution noise weighs little."""
OUTSIDE, CENTRE = 0.5, 0.25
"""Part of the faces of the box that a mask of the outside covers at least; diameter of the centre, which it does not
cover, boxes."""
MISSED = 0.1
"""Power of the density within a mask, over that outside it, voxel by voxel, below which it leaves the particle out; one
around a faint part of a large particle has more."""
CERTAIN = 0.1
"""Correlation of the half-maps outside the mask from which on there is something."""


def covers_the_outside(mask: Float[Tensor, "n n n"]) -> bool:
    """Whether a mask, by itself, covers most of the faces of the box, and its centre not: 1 and 0 are exchanged."""
    faces = torch.cat([mask[[0, -1]].flatten(), mask[:, [0, -1]].flatten(), mask[:, :, [0, -1]].flatten()])
    centre = soft_ball(len(mask), 0.5 * CENTRE * len(mask), 1.0).to(mask)
    return float(faces.mean()) >= OUTSIDE > float((mask * centre).sum() / centre.sum())


def leaves_out(
    mask: Float[Tensor, "n n n"], half1: Float[Tensor, "n n n"], half2: Float[Tensor, "n n n"] | None = None
) -> bool:
    """Whether the density lies outside a mask.

    Parameters
    ----------
    mask
        Values in [0, 1].
    half1, half2
        Half-maps, whose common part is the density; a map without noise alone.
    """
    box = min(WORKING_BOX, len(mask))
    first = _about_background(half1, box)
    second = first if half2 is None else _about_background(half2, box)
    inside = resample(mask.to(half1), box).clamp(0, 1)
    outside = 1 - inside
    # a mask that covers the box leaves nothing out
    if float(outside.sum()) < 1:
        return False
    common = first * second
    all_of_it = ((outside * first.square()).sum() * (outside * second.square()).sum()).sqrt()
    if float((outside * common).sum()) <= CERTAIN * float(all_of_it):
        return False
    within, without = (float((common * each).sum() / each.sum().clamp_min(1)) for each in (inside, outside))
    return within < MISSED * without


def _about_background(volume: Float[Tensor, "n n n"], box: int) -> Float[Tensor, "m m m"]:
    coarse = resample(volume, box)
    return coarse - background_level(coarse)
