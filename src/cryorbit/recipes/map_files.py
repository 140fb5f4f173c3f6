"""What every recipe leaves of a map: itself, its half maps, its mask, and the correlation of the halves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.evaluation.fsc import FSCCurve, fsc_curve
from cryorbit.inference.mstep import Maps
from cryorbit.io.fsc_files import write_fsc
from cryorbit.io.mrc import write_map
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
    pixel_size
        A.
    radius
        Fourier radius of the maps where it is less than the box allows, pixels: a mask carries signal beyond it, where
        no noise is, so that the half maps would seem to agree there.
    """

    volume: Float[Tensor, "n n n"]
    halves: Float[Tensor, "2 n n n"]
    mask: Float[Tensor, "n n n"]
    pixel_size: float
    radius: float | None = None


@dataclass(frozen=True, slots=True)
class HalfMapCurves:
    """Correlation of the half maps, as they are and within the mask."""

    unmasked: FSCCurve
    masked: FSCCurve


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


def write_map_files(folder: Path, files: MapFiles, finished: FinishedMap, title: str) -> HalfMapCurves:
    """Write a map, its half maps, mask and correlations; ``title`` is that of the correlation's XML file."""
    pixel, (first, second) = finished.pixel_size, finished.halves
    write_map(folder / files.map, finished.volume, pixel)
    write_map(folder / files.half1, first, pixel)
    write_map(folder / files.half2, second, pixel)
    write_map(folder / files.mask, finished.mask, pixel)
    curves = HalfMapCurves(
        _within(fsc_curve(first, second, pixel), finished.radius),
        _within(fsc_curve(first, second, pixel, finished.mask), finished.radius),
    )
    columns = {"unmasked": curves.unmasked.correlation.numpy(), "masked": curves.masked.correlation.numpy()}
    write_fsc(folder / files.fsc, curves.unmasked.frequency_per_A.numpy(), columns, title)
    return curves


def _within(curve: FSCCurve, radius: float | None) -> FSCCurve:
    """The curve, 0 in shells beyond the radius."""
    if radius is None:
        return curve
    shells = torch.arange(len(curve.correlation))
    return FSCCurve(curve.frequency_per_A, torch.where(shells <= radius, curve.correlation, 0.0))
