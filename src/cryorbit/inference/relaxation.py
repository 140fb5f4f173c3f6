"""Over-relaxed EM: maps that go beyond what a pass ends with, on the way from those it began with.

Where posteriors are broad EM goes the right way by short steps, pass after pass. Not while the radius grows, as new
shells turn the way, nor where the last step was too long and the images fit worse. Salakhutdinov and Roweis, Adaptive
overrelaxed bound optimization methods, 2003.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from cryorbit.volumes.voxel import resample

RADIUS_STANDS = 1.1
"""A radius that is not this many times that of the pass before tells of hardly anything new."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A pass: the Fourier radius of its scores, and the mean log-likelihood that it found, nats."""

    radius: float
    likelihood: float


def relaxed(
    before: Float[Tensor, "*k n n n"], made: Float[Tensor, "*k m m m"], part: float, now: Scored, last: Scored
) -> Float[Tensor, "*k m m m"]:
    """Maps for the next pass.

    Parameters
    ----------
    before, made
        Those that a pass began with, on a grid of their own, and those that its M-step made.
    part
        Of the change, by which they go beyond.
    now, last
        The pass, and the best one before it of the last radius (of minus infinity where there was none); likelihoods
        at two radii do not compare.
    """
    grown = now.radius > RADIUS_STANDS * last.radius
    worse = now.radius == last.radius and now.likelihood < last.likelihood
    if grown or worse or last.likelihood == -math.inf:
        return made
    return made + part * (made - resample(before, made.shape[-1]))
