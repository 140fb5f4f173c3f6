"""Means of a Fourier volume over rotations that take its grid into itself: sums of symmetry copies from those of one.

Such rotations permute the axes and change signs. The volume is a complete half transform, as
``interpolation.join_mates`` leaves it; a point ``k`` of a turned volume is read at ``R k``.
"""

from __future__ import annotations

from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.kernels.table import TURNED_MEAN


def average_turned(
    volume: Complex[Tensor, "m m h"], density: Float[Tensor, "m m h"], rotations: Float[Tensor, "r 3 3"]
) -> None:
    """Replace both, in place, by the mean over ``R`` of ``volume(R k)`` and of the real, even ``density(R k)``.

    The mean is zero outside the largest sphere that the grid holds.

    Raises
    ------
    ValueError
        A rotation moves grid points to places between them.
    """
    if not bool((rotations == rotations.round()).all()):
        raise ValueError("every rotation must take the grid into itself: entries of 0, 1 and -1")
    turned = volume.clone(), density.clone()
    TURNED_MEAN.choose(volume)(*turned, rotations, volume, density)
