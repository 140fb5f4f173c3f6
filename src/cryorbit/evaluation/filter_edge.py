"""The steep edge of a low-pass filter, beyond which a masked map holds nothing of its own.

Within a mask each shell holds something of its neighbours. Of a map that falls off evenly that is little, and
randomised half-maps tell how much correlation it makes. Beyond the edge of a filter it is nearly all there is, above
noise or rounding of a few per cent even, and it agrees between half-maps as the shells within the edge do.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.evaluation.band_limit import without_shells_beyond
from cryorbit.evaluation.fsc import THRESHOLD, first_below
from cryorbit.fourier.shells import shell_means

STEEP = 0.1
"""Power of a shell over that of the one before below which the step is a filter's edge: maps of particles fall to 0.15
of it at most, in the shells in which half-maps part."""
CARRIED = 0.5
"""Part of the power of the masked shell after the edge that was carried there; beside an even fall-off it is 0.2."""
AGREE = 0.8
"""Correlation of two maps from which on their shells hold data, however steeply they fall."""
BEFORE = 3
"""Shells before the first that agree less, from which on the edge is looked for."""


@dataclass(frozen=True, slots=True)
class FilterEdge:
    """A steep fall in the power of a map, which may be the edge of a filter: masks of any shape are tried on it.

    Attributes
    ----------
    volume
        The map, unmasked.
    before
        The map without the shells beyond the fall.
    shell
        Last shell before the fall.
    end
        Last shell in which the map holds data if that is the edge of a filter.
    """

    volume: Float[Tensor, "n n n"]
    before: Float[Tensor, "n n n"]
    shell: int
    end: int

    def shows(self, mask: Float[Tensor, "n n n"]) -> bool:
        """Whether the shell after the fall holds, within a soft mask, mostly what the mask carried there."""
        carried, present = (float(_power(each * mask)[self.shell + 1]) for each in (self.before, self.volume))
        return carried > CARRIED * present


def find_edge(volume: Float[Tensor, "n n n"], unmasked: Float[Tensor, " s"], last: int) -> FilterEdge | None:
    """The steepest fall of a map where its data may end; None where it falls off evenly.

    Parameters
    ----------
    volume
        The map, unmasked.
    unmasked
        Correlation of the map with another, or of its half-maps, without a mask, in shells 0 ... n / 2.
    last
        Last shell in which the map can hold data.
    """
    power = _power(volume)
    first = max(1, first_below(unmasked[: last + 1], AGREE) - BEFORE)
    step = (power[1:] / power[:-1].clamp_min(torch.finfo(power.dtype).tiny))[first:last]
    if not len(step) or float(step.min()) > STEEP:
        return None
    shell = first + int(step.argmin())
    # shells beyond the steepest step that agree still belong to a soft edge
    end = min(last, shell - 1 + first_below(unmasked[shell:], THRESHOLD))
    return FilterEdge(volume, without_shells_beyond(volume, shell), shell, end)


def end_within_mask(
    volume: Float[Tensor, "n n n"], mask: Float[Tensor, "n n n"], unmasked: Float[Tensor, " s"], last: int
) -> int:
    """Last shell in which a map holds data within a soft mask; arguments as for `find_edge`."""
    edge = find_edge(volume, unmasked, last)
    return edge.end if edge is not None and edge.shows(mask) else last


def _power(volume: Float[Tensor, "n n n"]) -> Float[Tensor, " s"]:
    """Mean power of shells 0 ... n / 2."""
    return shell_means(torch.fft.rfftn(volume).abs().square()).cpu()
