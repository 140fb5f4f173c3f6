"""The mask within which half-maps are compared: soft enough that it makes no correlation of its own.

A mask carries strong coarse signal into finer shells the further, the sharper its edge is. The edge of this one is
therefore as wide as the resolution asks for, and wider as long as randomised half-maps still correlate inside.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.evaluation.corrected_fsc import HalfMapFSC, HalfMapPair
from cryorbit.evaluation.solvent_mask import LEAST_FAR_PX, LEAST_NEAR_PX, outline_resolution, outlined, soft_edge
from cryorbit.imaging.masks import soft_ball

NEAR_A = 6.0
NARROWEST_EDGE_A = 8.0
EDGE_PER_RESOLUTION = 1.5
"""Width of the edge over the resolution of the half-maps without a mask."""
WIDENED = (1.0, 1.7, 3.0)
"""Widths that are tried in turn, in units of that: the narrowest harmless one leaves most noise outside."""
WIDEST_PART = 0.25
"""Part of the box that the edge may take at most."""
WIDEST_RIM = 0.1
"""Part of the box over which it is faded out at most where it meets the ball in the box, which a particle may fill."""


def half_map_mask(
    volume: Float[Tensor, "n n n"],
    halves: Float[Tensor, "2 n n n"],
    pixel_size: float,
    generator: torch.Generator,
    window: Float[Tensor, "n n n"] | None = None,
    last: int | None = None,
) -> tuple[Float[Tensor, "n n n"], HalfMapFSC]:
    """Soft mask in [0, 1] around the density of a map, and the correlations of its half-maps within.

    Parameters
    ----------
    volume
        Map with white density.
    halves
        Half-maps, unfiltered and unmasked.
    pixel_size
        A.
    generator
        Source of the random phases.
    window
        Soft region in which the particle is looked for; the edge of the mask may reach beyond. Default: the ball in
        the box.
    last
        Last shell in which the half-maps hold data. Default: that of the box.
    """
    box = volume.shape[-1]
    pair = HalfMapPair.of(halves[0], halves[1], pixel_size, last)
    resolution = pair.resolution_A
    region = soft_ball(box, box / 2 - 3, 2) if window is None else window
    particle = outlined(volume, pixel_size, outline_resolution(resolution), region.to(volume))
    near = max(NEAR_A / pixel_size, LEAST_NEAR_PX)
    for widening in WIDENED:
        width = widening * max(NARROWEST_EDGE_A, EDGE_PER_RESOLUTION * resolution) / pixel_size
        edge = min(max(width, LEAST_FAR_PX - LEAST_NEAR_PX), WIDEST_PART * box)
        rim = min(edge, WIDEST_RIM * box)
        mask = (soft_edge(particle, near, near + edge) * soft_ball(box, box / 2 - 1 - rim, rim)).to(volume)
        fsc = pair.within(mask, generator)
        if not fsc.mask_too_tight:
            break
    return mask, fsc
