"""Maps held against each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from jaxtyping import Float
from torch import Tensor

from cryorbit.api.fsc import FSC, from_curve
from cryorbit.api.job import Job
from cryorbit.api.settings import MapLike
from cryorbit.api.volume import Volume, read_map
from cryorbit.core.seeds import generator_for
from cryorbit.evaluation.band_limit import last_shell
from cryorbit.evaluation.comparison import compare_maps
from cryorbit.evaluation.corrected_fsc import corrected_fsc
from cryorbit.evaluation.fsc import fsc_curve
from cryorbit.io.fsc_files import FREQUENCY
from cryorbit.recipes.compare import require_box
from cryorbit.recipes.map_grid import onto_grid, require_content
from cryorbit.recipes.masks import require_mask, require_on_density


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """A map superposed on a reference.

    Attributes
    ----------
    superposed
        The map on the grid of the reference.
    fsc
        Correlation of the two, inside the mask if one was given.
    correlation
        Pearson correlation of the two, inside the mask if one was given.
    hand_flipped
        Whether the map had to be mirrored.
    angle_deg
        Rotation, degrees.
    shift_A
        Shift ``(x, y, z)``, A.
    """

    superposed: Volume
    fsc: FSC
    correlation: float
    hand_flipped: bool
    angle_deg: float
    shift_A: tuple[float, float, float]  # noqa: N815 (units belong to the name)

    def resolution(self, threshold: float = 0.5) -> float:
        """Resolution in A: 0.5 against a noiseless reference, 0.143 between half-maps."""
        return self.fsc.resolution(threshold)

    def __repr__(self) -> str:
        """What was found, one line."""
        hand = "mirrored" if self.hand_flipped else "the same hand"
        return (
            f"Comparison(correlation {self.correlation:.3f}, {self.resolution(0.5):.1f} Å at FSC 0.5, "
            f"{self.resolution(0.143):.1f} Å at 0.143, turned by {self.angle_deg:.1f} degrees, {hand})"
        )

    def _repr_html_(self) -> str:
        """The same and the curve, for a notebook."""
        from cryorbit.api.pictures import paragraph

        return paragraph(repr(self)) + self.fsc._repr_html_()


def compare(moving: MapLike, reference: MapLike, *, mask: MapLike | None = None) -> Comparison:
    """Superpose a map on another (rotation, shift, both hands) and tell how far they agree.

    Parameters
    ----------
    moving, reference
        Maps in memory, files, or jobs (their first map).
    mask
        Soft mask on the reference, inside which the agreement is measured.

    Raises
    ------
    InputError
        The reference has no even, cubic box, or a map holds one value everywhere.
    """
    fixed, moved, within = _on_one_grid(reference, moving, mask)
    comparison = compare_maps(moved.values, fixed.values, fixed.pixel_size, within)
    x, y, z = comparison.alignment.shift_A.tolist()
    return Comparison(
        superposed=Volume(comparison.alignment.aligned, fixed.pixel_size),
        fsc=from_curve(comparison.fsc, "unmasked" if mask is None else "masked"),
        correlation=comparison.cc,
        hand_flipped=comparison.alignment.hand_flipped,
        angle_deg=comparison.alignment.angle_deg,
        shift_A=(x, y, z),
    )


def fsc(first: MapLike, second: MapLike, *, mask: MapLike | None = None) -> FSC:
    """Fourier shell correlation of two maps as they lie; arguments and errors as for `compare`.

    Within a mask, which correlates maps by itself, the curve that counts is corrected for it by phase randomisation,
    and 0 beyond the last shell in which both maps hold data; the others stand beside it.
    """
    one, other, within = _on_one_grid(first, second, mask)
    if within is None:
        return from_curve(fsc_curve(one.values, other.values, one.pixel_size), "unmasked")
    last = last_shell(one.values, other.values)
    phases = generator_for(0, "phases of a masked correlation")
    result = corrected_fsc(one.values, other.values, one.pixel_size, within, phases, last)
    curves = {name: getattr(result, name).numpy() for name in ("corrected", "unmasked", "masked", "randomised")}
    return FSC(pd.DataFrame({FREQUENCY: result.frequency_per_A.numpy(), **curves}))


def _on_one_grid(
    first: MapLike, second: MapLike, mask: MapLike | None
) -> tuple[Volume, Volume, Float[Tensor, "n n n"] | None]:
    """The first map, and the second and the mask brought to its grid."""
    one, other = _volume(first), _volume(second)
    require_box(one.values, _name(first))
    require_content(other.values, _name(second))
    box, pixel_size = len(one.values), one.pixel_size
    moved = Volume(onto_grid(other.values, other.pixel_size, box, pixel_size)[0], pixel_size)
    if mask is None:
        return one, moved, None
    cover = _volume(mask)
    values = require_mask(cover.values, _name(mask))
    within = onto_grid(values, cover.pixel_size, box, pixel_size)[0].clamp(0, 1)
    require_on_density(within, one.values, None, _name(mask))
    return one, moved, within


def _volume(source: MapLike) -> Volume:
    if isinstance(source, Volume):
        return source
    return source.map if isinstance(source, Job) else read_map(source)


def _name(source: MapLike) -> Path | None:
    """The file at fault, where there is one."""
    if isinstance(source, Volume):
        return None
    return source.folder if isinstance(source, Job) else Path(source)
