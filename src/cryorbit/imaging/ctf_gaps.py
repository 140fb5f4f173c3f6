"""Frequencies that hardly an image of a set shows: zeros of the CTF that all particles have in common.

In a map every frequency is met by images turned in all ways, so that what counts is the mean of CTF^2 over particles
and over directions in the image. Particles of different defocus fill each other's zeros, those of one defocus do not.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.data import CTFParams
from cryorbit.imaging.ctf import ctf_values

MOST_PARTICLES = 500
"""Particles that are looked at, evenly spread over the set."""
DIRECTIONS = 8
"""Directions over half a turn: with astigmatism the CTF differs between them."""
WITHIN_A_SHELL = 4
"""Frequencies a shell: a zero that is narrower than a shell is no gap in it."""
LEAST_POWER = 0.1
"""Mean CTF^2 below which a shell is a gap: it takes five times the images, as a half is usual."""


def mean_ctf_power(params: CTFParams, box: int, pixel_size: float) -> Float[Tensor, " s"]:
    """Mean of CTF^2 over particles, directions and shells 1 ... box / 2, without envelopes, float64."""
    count = min(MOST_PARTICLES, len(params))
    chosen = params[torch.linspace(0, len(params) - 1, count).round().long()]
    ones = torch.ones(count, dtype=torch.float64)
    bare = replace(chosen, b_factor=0 * ones, scale=ones)
    steps = (torch.arange(WITHIN_A_SHELL).double() + 0.5) / WITHIN_A_SHELL - 0.5
    shells = torch.arange(1, box // 2 + 1).double()
    lengths = (shells[:, None] + steps).flatten() / (box * pixel_size)
    angles = torch.arange(DIRECTIONS).double() * (math.pi / DIRECTIONS)
    directions = torch.stack([angles.cos(), angles.sin()], -1)
    power = torch.zeros(len(shells), dtype=torch.float64)
    for direction in directions:
        values = ctf_values(bare, lengths[:, None] * direction).double().square().mean(0)
        power += values.unflatten(0, (-1, WITHIN_A_SHELL)).mean(-1)
    return power / DIRECTIONS


def ctf_gaps(params: CTFParams, box: int, pixel_size: float) -> list[float]:
    """Resolutions in A, coarsest first, of the shells that images hardly show; neighbours count once.

    What lies before the CTF first rises is not a gap: there it is small for every defocus.
    """
    power = mean_ctf_power(params, box, pixel_size)
    rises = torch.nonzero(power > 0.5)[:, 0]
    if len(rises) == 0:
        return []
    empty = (power < LEAST_POWER) & (torch.arange(len(power)) > rises[0])
    first = torch.nonzero(empty & ~torch.cat([empty.new_zeros(1), empty[:-1]]))[:, 0]
    return [box * pixel_size / (shell + 1) for shell in first.tolist()]
