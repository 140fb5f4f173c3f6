"""D and W of both half-sets: those of one are summed while those of the other, which are over, lie on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.inference.band import Band
from cryorbit.inference.exact_sums import ExactSums, exact_sums
from cryorbit.inference.shelf import Shelf
from cryorbit.inference.statistics import empty_volumes

T = TypeVar("T")


def half_set_sums(
    source: ParticleSource,
    bands: Sequence[Band],
    images: Sequence[int],
    classes: int,
    work: Callable[[int, ExactSums], T],
) -> tuple[Complex[Tensor, "2 k z q h"], Float[Tensor, "2 k z q h"], list[T]]:
    """D and W of both half-sets over the images of all processes, and what ``work`` returned of each.

    Parameters
    ----------
    source
        The particles; the sums of one half-set are in a file in its folder for scratch.
    bands
        Grid, half disc and noise of each half-set.
    images
        How many images each half-set has.
    classes
        K.
    work
        Adds the images of a half-set, by its number, to the sums of this process.
    """
    with Shelf(source.scratch) as shelf:

        def add(half: int) -> T:
            sums = exact_sums(bands[half], images[half], 1, classes, source.device)
            result = work(half, sums)
            sums.gather_(source.group)
            shelf.put(sums)
            return result

        results = [source.watch.part(partial(add, half), shelf) for half in range(2)]
        like = torch.zeros(0, dtype=torch.complex64, device=source.device)
        data, weight = empty_volumes(bands[0].grid, 2, classes, like)
        shelf.take(data, weight)
    source.watch.close()
    return data, weight, results
