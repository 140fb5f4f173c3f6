"""Whether half-maps were masked before: their correlation is then their mask's too, and nothing corrects for it."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from cryorbit.imaging.masks import soft_ball

MARGIN = 0.05
"""Part of the box by which the ball that is looked at is smaller: many programs leave the corners of a map empty."""
FLAT = 0.03
"""Part of the ball in which a map is flat from which on it was masked."""


def masked_before(volume: Float[Tensor, "n n n"]) -> bool:
    """Whether a map has one value, that of its corner, in much of the ball in its box.

    Grey values of whole numbers tell nothing: a smooth background is rounded to one of them.
    """
    if bool((volume == volume.round()).all()):
        return False
    box = len(volume)
    ball = soft_ball(box, (0.5 - MARGIN) * box, 1.0).to(volume) > 0.5
    return float((volume[ball] == volume[0, 0, 0]).double().mean()) > FLAT
