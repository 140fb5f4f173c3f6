"""Insertion of slices into sums that already exist: what a large volume needs, which is only kept once.

``interpolation.insert_slices`` makes new volumes, which suits a search on small grids. With the padded grid of a large
box that costs more than the insertion itself, in time and in memory; here slices are added in place.
"""

from __future__ import annotations

from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.fourier import accumulation_cpu
from cryorbit.fourier.interpolation import insert_slices


def add_slices(
    volume: Complex[Tensor, "m m h"],
    density: Float[Tensor, "m m h"],
    values: Complex[Tensor, "g p"],
    weights: Float[Tensor, "g p"],
    rotations: Float[Tensor, "g 3 3"],
    frequencies: Float[Tensor, "p 2"],
    pad: int,
) -> None:
    """Add to ``volume`` and ``density``, in place, what ``interpolation.insert_slices`` makes of the slices.

    On the CPU the sums do not depend on the number of threads.
    """
    if accumulation_cpu.takes(volume) and accumulation_cpu.takes(density):
        accumulation_cpu.add_slices(volume, density, values, weights, rotations.float(), frequencies, pad)
        return
    added, added_density = insert_slices(values, weights, rotations, frequencies, volume.shape[0], pad)
    volume += added
    density += added_density
