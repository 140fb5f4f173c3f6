"""What the stages of post-processing hand on to its outputs."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from cryorbit.evaluation.conical_fsc import ConicalFSC
from cryorbit.evaluation.corrected_fsc import HalfMapFSC
from cryorbit.evaluation.half_map_frames import Misplacement
from cryorbit.evaluation.sharpening import GuinierFit
from cryorbit.evaluation.view_sampling import ViewSampling


@dataclass(frozen=True, slots=True)
class Sharpened:
    """A sharpened map.

    Attributes
    ----------
    volume
        The map.
    b_factor
        Applied, A^2; negative sharpens.
    is_set
        Whether the user set it.
    fit
        The Guinier fit; None where the resolution leaves too few shells for one.
    """

    volume: Float[Tensor, "n n n"]
    b_factor: float
    is_set: bool
    fit: GuinierFit | None


@dataclass(frozen=True, slots=True)
class HalfMapAnalysis:
    """All that was computed from two half-maps.

    Attributes
    ----------
    pixel_size
        A.
    mask
        Soft mask that was used.
    fsc
        Correlations of the half-maps.
    sharpened
        The map for people.
    local
        Local resolution, A.
    filtered
        The map filtered to it, if that was asked for.
    cones
        Correlations by direction.
    sampling
        Evenness of the views, if there are poses.
    symmetry
        The point group that was asked for, and how far each half-map agrees with turned copies of the other, over how
        far with the other itself; None without symmetry, or where nothing can be told.
    mask_supplied
        Whether the mask is the user's.
    holds_to_A
        Resolution to which the half-maps say they hold data, A, if they do.
    optics_doubts
        Sentences on optics that nothing corrects for and that this resolution does not bear.
    misplaced
        How the second half-map must be moved onto the first; None where it lies in place.
    mask_misses
        Whether the mask leaves the particle out.
    masked_before
        Whether the half-maps were masked before they were given.
    """

    pixel_size: float
    mask: Float[Tensor, "n n n"]
    fsc: HalfMapFSC
    sharpened: Sharpened
    local: Float[Tensor, "n n n"]
    filtered: Float[Tensor, "n n n"] | None
    cones: ConicalFSC
    sampling: ViewSampling | None
    symmetry: tuple[str, float] | None
    mask_supplied: bool
    holds_to_A: float | None  # noqa: N815 (units belong to the name)
    optics_doubts: tuple[str, ...] = ()
    misplaced: Misplacement | None = None
    mask_misses: bool = False
    masked_before: bool = False
