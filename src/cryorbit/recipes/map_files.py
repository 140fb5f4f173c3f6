"""What every recipe leaves of a map: itself, its half maps, its mask, and the correlation of the halves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.evaluation.band_limit import without_shells_beyond
from cryorbit.evaluation.corrected_fsc import HalfMapFSC, corrected_fsc
from cryorbit.evaluation.fsc import THRESHOLD, FSCCurve, resolution_at
from cryorbit.evaluation.half_map_mask import half_map_mask
from cryorbit.inference.mstep import Maps
from cryorbit.io.fsc_files import write_fsc
from cryorbit.io.mrc import write_map
from cryorbit.recipes.limits import on_limit
from cryorbit.volumes.voxel import resample


@dataclass(frozen=True, slots=True)
class MapFiles:
    """Names, in the job folder, of the files of one map; ``fsc`` goes without suffix, ``views`` are its directions."""

    map: str
    half1: str
    half2: str
    mask: str
    fsc: str
    views: str


ONLY_MAP = MapFiles("map.mrc", "map_half1_unfil.mrc", "map_half2_unfil.mrc", "mask.mrc", "fsc", "angdist.bild")
"""The files of a job that makes one map."""
PHASES = "phases of halves"
"""Stream of random numbers that randomised phases are drawn from (see ``generator_for``)."""


@dataclass(frozen=True, slots=True)
class FinishedMap:
    """A map on the full box, on the CPU.

    Attributes
    ----------
    volume
        The map.
    halves
        Maps of the two half-sets, unfiltered.
    mask
        Soft mask, in [0, 1].
    fsc
        Correlations of the half-maps, within the mask corrected for it.
    pixel_size
        A.
    holds_to_A
        Resolution to which images were inserted, A: there are no data beyond.
    """

    volume: Float[Tensor, "n n n"]
    halves: Float[Tensor, "2 n n n"]
    mask: Float[Tensor, "n n n"]
    fsc: HalfMapFSC
    pixel_size: float
    holds_to_A: float  # noqa: N815 (units belong to the name)

    @property
    def resolution_A(self) -> float:  # noqa: N802
        """Where the half-maps as they are correlate by 0.143, A."""
        return resolution_at(FSCCurve(self.fsc.frequency_per_A, self.fsc.unmasked), THRESHOLD)

    @property
    def limits(self) -> list[str]:
        """A sentence on what limits the resolution, if it is not the particles."""
        sentence = on_limit(self.fsc, self.holds_to_A)
        return [] if sentence is None else [sentence]


def class_files(number: int) -> MapFiles:
    """The files of class ``number``, from 1."""
    stem = f"class_{number}"
    first, second = f"{stem}_half1_unfil.mrc", f"{stem}_half2_unfil.mrc"
    return MapFiles(f"{stem}.mrc", first, second, f"mask_{number}.mrc", f"fsc_{stem}", f"angdist_{stem}.bild")


def c1_file(number: int) -> str:
    """The map of class ``number``, from 1, before its symmetry was imposed."""
    return f"class_{number}_c1.mrc"


def on_full_box(maps: Maps, box: int) -> Maps:
    """Maps of K classes brought from their working box to the full one."""
    return Maps(resample(maps.volume, box), torch.stack([resample(half, box) for half in maps.halves]), maps.fsc)


def finish_map(
    maps: tuple[Float[Tensor, "n n n"], Float[Tensor, "2 n n n"]],
    pixel_size: float,
    radius: float,
    generator: torch.Generator,
    window: Float[Tensor, "n n n"],
    mask: Float[Tensor, "n n n"] | None = None,
) -> FinishedMap:
    """Find the mask of a map, and compare its half-maps.

    Parameters
    ----------
    maps
        The map and its half-maps, on the full box.
    pixel_size
        A.
    radius
        Fourier radius to which images were inserted, pixels. What windows have carried beyond it is taken off the
        half-maps: it is no data.
    generator
        Source of the random phases.
    window
        Soft region in which the particle is.
    mask
        The user's mask. None: one is made.
    """
    volume, halves = maps[0].cpu(), maps[1].cpu()
    extent, last = volume.shape[-1] * pixel_size, int(radius)
    if last < volume.shape[-1] // 2 - 1:
        halves = torch.stack([without_shells_beyond(half, last) for half in halves])
    if mask is None:
        mask, fsc = half_map_mask(volume, halves, pixel_size, generator, window.cpu(), last)
    else:
        fsc = corrected_fsc(halves[0], halves[1], pixel_size, mask, generator, last)
    return FinishedMap(volume, halves, mask, fsc, pixel_size, extent / radius)


def write_map_files(folder: Path, files: MapFiles, finished: FinishedMap, title: str) -> None:
    """Write a map, its half maps, mask and correlations; ``title`` is that of the correlation's XML file.

    Map and half-maps carry with them how far they hold data.
    """
    pixel, (first, second) = finished.pixel_size, finished.halves
    write_map(folder / files.map, finished.volume, pixel, finished.holds_to_A)
    write_map(folder / files.half1, first, pixel, finished.holds_to_A)
    write_map(folder / files.half2, second, pixel, finished.holds_to_A)
    write_map(folder / files.mask, finished.mask, pixel)
    columns = {name: getattr(finished.fsc, name).numpy() for name in ("unmasked", "corrected", "masked", "randomised")}
    write_fsc(folder / files.fsc, finished.fsc.frequency_per_A.numpy(), columns, title)
