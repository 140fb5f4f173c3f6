"""Mini-batches of an endless sequence of shuffled epochs: every one of N things comes once before any comes again."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor


def stretch_of_epochs(
    count: int, first: int, size: int, generator: Callable[[int], torch.Generator]
) -> Int[Tensor, " b"]:
    """What stands at ``size`` places of the sequence, from place ``first`` on.

    Parameters
    ----------
    count
        How many things there are; numbers from 0 are drawn.
    first, size
        The stretch; it may go on from one epoch to the next.
    generator
        Of the order of each epoch, by its number.
    """
    places = torch.arange(first, first + size)
    epochs = torch.div(places, count, rounding_mode="floor")
    drawn = torch.empty_like(places)
    for epoch in epochs.unique().tolist():
        mine = epochs == epoch
        drawn[mine] = torch.randperm(count, generator=generator(epoch))[places[mine] % count]
    return drawn
