"""How far out a map holds data: the last shell of its transform that is more than numerical nothing.

A map that was low-passed, or reconstructed to a coarser resolution than its pixels allow, has empty shells. Inside a
mask they are filled with what the mask carries over from the others, on which half-maps agree: a correlation read there
is the mask's and not the data's.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.evaluation.radial_filter import apply_gain
from cryorbit.fourier.shells import half_spectrum_weights, shell_means

NOTHING = 1e-7
"""Power over the mean power of the map below which a coefficient is rounding (of float16: 4e-8), not data."""
FILLED = 0.95
"""Part of a shell's coefficients that must hold data: a cube of frequencies ends in shells that are filled in part."""
EDGE_SHELLS = 3
"""Width that the edge of a low-pass filter is expected to have at most, shells."""
UNFILTERED = 0.6
"""A shell is taken to lie inside of that edge if its power, over that of the shell before, is no less than this part of
the shell before's: a map falls evenly, a filter ever more."""


def last_shell(*volumes: Float[Tensor, "n n n"]) -> int:
    """Last shell in which all maps of one box hold data, from 1; box / 2 if none of them ends before it."""
    return min(_last_shell(volume) for volume in volumes)


def shell_within(extent_A: float, resolution_A: float) -> int:
    """Last shell of a box of ``extent_A`` that lies within ``resolution_A``, which a file may have rounded."""
    return math.floor(extent_A / resolution_A + 1e-3)


def without_shells_beyond(volume: Float[Tensor, "n n n"], last: int) -> Float[Tensor, "n n n"]:
    """The map without frequencies beyond a shell."""
    return apply_gain(volume, (torch.arange(volume.shape[-1] // 2 + 1) <= last).double())


def _last_shell(volume: Float[Tensor, "n n n"]) -> int:
    box = volume.shape[-1]
    power, filled = _power_and_filling(volume)
    full = (filled >= FILLED).nonzero().flatten()
    end = int(full[-1]) if len(full) else 1
    # data that reach the end of the box were not cut by a filter
    if end >= box // 2 - 1:
        return end
    step = power[1:] / power[:-1].clamp_min(torch.finfo(power.dtype).tiny)
    for shell in range(end, max(2, end - EDGE_SHELLS), -1):
        if float(step[shell - 1]) >= UNFILTERED * min(1.0, float(step[shell - 2])):
            return shell
    return max(1, end - EDGE_SHELLS)


def _power_and_filling(volume: Float[Tensor, "n n n"]) -> tuple[Float[Tensor, " s"], Float[Tensor, " s"]]:
    """Mean power of shells 0 ... n / 2, and the part of their coefficients that hold data."""
    power = torch.fft.rfftn((volume - volume.mean()).double()).abs().square()
    weights = half_spectrum_weights(volume.shape[-1]).to(power)
    holds = power > NOTHING * (power * weights).sum() / volume.numel()
    mean_power, filled = shell_means(torch.stack([power, holds.to(power)])).cpu()
    return mean_power, filled
