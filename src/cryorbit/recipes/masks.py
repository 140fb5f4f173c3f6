"""Masks of other programs: read onto the grid of the images or of a map, and held against what they are to cover."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.evaluation.mask_placement import covers_the_outside, leaves_out
from cryorbit.io.mrc import read_map
from cryorbit.recipes.map_grid import onto_grid

LOGGER = logging.getLogger(__name__)
EMPTY = 0.5
"""Largest value of a mask that has no inside."""
LEAVES_OUT = "the mask leaves out the particle"
LEAVES_OUT_FIX = (
    "give a mask that is 1 on the particle and lies on this map; if 0 and 1 are exchanged, give 1 minus this mask"
)


def read_mask(path: Path, reference: Float[Tensor, "n n n"], pixel_size: float) -> Float[Tensor, "n n n"]:
    """A mask brought to the grid of ``reference``, its values in [0, 1]; one of ones masks nothing."""
    mask, stated = read_map(path, unstated=0.0)
    require_mask(mask, path)
    fitted, done = onto_grid(mask, stated, len(reference), pixel_size)
    if done is not None:
        LOGGER.info("%s: %s", path.name, done)
    return fitted.clamp(0, 1)


def require_mask(mask: Float[Tensor, "z y x"], file: Path | None) -> Float[Tensor, "z y x"]:
    """The mask cut to [0, 1].

    Raises
    ------
    InputError
        It reaches well beyond, is empty, or covers all but the middle of the box; of ``file`` if there is one.
    """
    # filters and resampling overshoot by a little: that is cut off
    if mask.min() < -1e-3 or mask.max() > 1 + 1e-3:
        raise InputError(
            f"the mask has values from {mask.min():.3g} to {mask.max():.3g}",
            file=file,
            fix="give a mask with values from 0 to 1",
        )
    if float(mask.max()) <= EMPTY:
        raise InputError("the mask is empty", file=file, fix="give a mask that is 1 on the particle")
    if len(set(mask.shape)) == 1 and covers_the_outside(mask):
        raise InputError(
            "the mask is 1 at the sides of the box and 0 in its middle: 0 and 1 are exchanged",
            file=file,
            fix="give 1 minus this mask",
        )
    return torch.clamp(mask, 0.0, 1.0)


def require_on_density(
    mask: Float[Tensor, "n n n"],
    half1: Float[Tensor, "n n n"],
    half2: Float[Tensor, "n n n"] | None,
    file: Path | None,
) -> None:
    """Raise `InputError`, of ``file`` if there is one, where the density lies outside a mask.

    Parameters
    ----------
    mask
        Values in [0, 1].
    half1, half2
        Half-maps, or a map without noise alone.
    file
        The mask.
    """
    if leaves_out(mask, half1, half2):
        raise InputError(LEAVES_OUT, file=file, fix=LEAVES_OUT_FIX)
