"""What two maps of one particle have in common once they are superposed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.evaluation.align import Alignment, align_maps, correlation
from cryorbit.evaluation.band_limit import last_shell
from cryorbit.evaluation.filter_edge import end_within_mask
from cryorbit.evaluation.fsc import FSCCurve, fsc_curve, resolution_at


@dataclass(frozen=True, slots=True)
class MapComparison:
    """A map superposed on a reference, and their agreement.

    Attributes
    ----------
    alignment
        How the map was brought onto the reference.
    fsc
        Fourier shell correlation of the two after that, inside the mask if one was given.
    cc
        Pearson correlation of the two after that, inside the mask if one was given.
    """

    alignment: Alignment
    fsc: FSCCurve
    cc: float

    def resolution(self, threshold: float) -> float:
        """Resolution in A at an FSC of 0.5 (against a noiseless reference) or 0.143 (between half-maps)."""
        return resolution_at(self.fsc, threshold)

    def as_record(self) -> dict[str, object]:
        """The comparison in plain types, for JSON."""
        return {
            "resolution_fsc05_A": self.resolution(0.5),
            "resolution_fsc0143_A": self.resolution(0.143),
            "hand_flipped": self.alignment.hand_flipped,
            "rotation": self.alignment.rotation.tolist(),
            "shift_A": self.alignment.shift_A.tolist(),
            "cc": self.cc,
            "fsc": torch.stack([self.fsc.frequency_per_A, self.fsc.correlation], -1).tolist(),
        }


def compare_maps(
    moving: Float[Tensor, "n n n"],
    reference: Float[Tensor, "n n n"],
    pixel_size: float,
    mask: Float[Tensor, "n n n"] | None = None,
) -> MapComparison:
    """Superpose ``moving`` on ``reference`` and measure their agreement.

    Parameters
    ----------
    moving, reference
        Maps ``[z, y, x]`` of one even box.
    pixel_size
        A per voxel of both maps.
    mask
        Soft mask, in [0, 1], on the reference; the superposition does not use it.
    """
    alignment = align_maps(moving, reference, pixel_size)
    fsc = fsc_curve(alignment.aligned, reference, pixel_size, mask)
    if mask is not None:
        # beyond the end of either map the mask correlates what it carries there
        unmasked, last = fsc_curve(alignment.aligned, reference, pixel_size).correlation, last_shell(moving, reference)
        last = min(end_within_mask(volume, mask, unmasked, last) for volume in (alignment.aligned, reference))
        beyond = torch.arange(len(fsc.correlation)) > last
        fsc = FSCCurve(fsc.frequency_per_A, fsc.correlation.masked_fill(beyond, 0.0))
    cc = alignment.correlation if mask is None else correlation(alignment.aligned, reference, mask)
    return MapComparison(alignment, fsc, cc)
