"""What repeated fits say of a map from moments: how far they differ in each shell, and how many agree with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.evaluation.align import align_maps
from cryorbit.evaluation.fsc import fsc_curve, resolution_at
from cryorbit.evaluation.map_spread import relative_spread
from cryorbit.recipes.moments.inversion import Inversion, RepeatedFits
from cryorbit.recipes.moments.verdict import level_of

ALIGNMENT_BOX = 32
"""Box in which maps are superposed: usually more than twice as many pixels as rings are used."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """Repeated fits, superposed on the map.

    Attributes
    ----------
    frequency_per_A
        Of each shell from the first to that of the finest detail, 1/A.
    spreads
        Standard deviations over the mean in each shell, by what was repeated: ``random_starts`` (on the inner rings),
        ``continued_starts`` (on all rings), each of the same particles, and ``halves`` of the particles.
    agreeing, starts
        Random starts whose fits of the inner rings agree with the map, and all of them.
    """

    frequency_per_A: Float[Tensor, " s"]  # noqa: N815 (units belong to the name)
    spreads: dict[str, Float[Tensor, " s"]]
    agreeing: int
    starts: int


def compare_repeats(inversion: Inversion, extent: float, finest_A: float) -> Repeats:
    """Superpose all fits of a job on its map and compare them.

    Parameters
    ----------
    inversion
        The fits.
    extent
        Side of the images, A.
    finest_A
        Detail up to which the map was made, A.
    """
    box = max(ALIGNMENT_BOX, 2 * math.ceil(inversion.everything.problem.model.basis.cutoff))
    pixel_size, reference = extent / box, inversion.everything.volumes(box)[0]
    coarse, fine = (
        [_superposed(each, reference, pixel_size) for each in fits] for fits in (inversion.coarse, inversion.fine)
    )
    resolutions = [
        resolution_at(fsc_curve(volume, reference, pixel_size), 0.5) for volumes in coarse for volume in volumes
    ]
    spreads = {"random_starts": _spread(coarse), "continued_starts": _spread(fine)}
    spreads["halves"] = _spread([torch.stack([volumes[0] for volumes in fine])])
    agreeing = sum(level_of(resolution, finest_A) == "good" for resolution in resolutions)
    shells = slice(1, min(math.ceil(extent / finest_A), box // 2) + 1)
    known = {name: spread[shells] for name, spread in spreads.items() if spread is not None}
    return Repeats(torch.arange(box // 2 + 1)[shells].double() / extent, known, agreeing, len(resolutions))


def _superposed(fits: RepeatedFits, reference: Float[Tensor, "n n n"], pixel_size: float) -> Float[Tensor, "k n n n"]:
    volumes = fits.volumes(len(reference))
    return torch.stack([align_maps(volume, reference, pixel_size).aligned for volume in volumes])


def _spread(groups: Sequence[Float[Tensor, "k n n n"]]) -> Float[Tensor, " s"] | None:
    """Root mean square over groups of repeats of their spreads; None if nothing was repeated."""
    spreads = [relative_spread(group).square() for group in groups if len(group) > 1]
    return torch.stack(spreads).mean(0).sqrt() if spreads else None
