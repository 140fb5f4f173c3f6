"""A map packed to be looked at in a page: small, in 8 bits, and all that the interactive view needs to know of it."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from cryorbit.report.surface import contour_level
from cryorbit.volumes.voxel import resample

LARGEST_SIDE = 80
"""Voxels a side in the page: 8 bits each, in base64, are at most 0.7 MB, whatever the map."""
_HALVED_ABOVE = 3
_MARGIN = 1.1
_SOLVENT_PERCENTILE, _PEAK_PERCENTILE = 25, 99.99


@dataclass(frozen=True, slots=True)
class SurfaceView:
    """A map as the page holds it.

    Attributes
    ----------
    name
        What the page calls it.
    colour
        Of its surface, as hexadecimal RGB.
    side
        Voxels a side, after cropping and binning.
    low, high
        Map values that the bytes 0 and 255 stand for: what can be contoured lies between them.
    level
        Contour to begin with.
    mean, deviation
        Of the whole map: a level in sigma is its distance from the mean in standard deviations.
    voxel_A
        Distance of neighbouring voxels, A; None where it is not known.
    payload
        The bytes, z slowest and x fastest, compressed by gzip, in base64.
    """

    name: str
    colour: str
    side: int
    low: float
    high: float
    level: float
    mean: float
    deviation: float
    voxel_A: float | None  # noqa: N815 (units belong to the name)
    payload: str

    def header(self) -> str:
        """All but the payload as JSON."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__ if name != "payload"})


def pack_surface(
    volume: Float[np.ndarray, "n n n"], pixel_size: float | None, name: str, colour: str, largest: int = LARGEST_SIDE
) -> SurfaceView | None:
    """Crop a map to its particle, bin it in Fourier space to at most ``largest`` voxels a side, and make it 8-bit.

    Parameters
    ----------
    volume
        The map.
    pixel_size
        A, if it is known.
    name, colour
        What the page calls it, and how it colours its surface.
    largest
        Even.

    Returns
    -------
    SurfaceView or None
        None if the map is flat: there is no surface to be seen.
    """
    level = contour_level(volume)
    binned, factor = volume, 1
    while len(binned) > _HALVED_ABOVE * largest:
        # before the transforms, which would take many times the memory of a large map
        binned, factor = _halved(binned), 2 * factor
    cube = _around_particle(binned, level)
    small = resample(torch.tensor(cube, dtype=torch.float32), min(largest, len(cube))).numpy()
    low, high = (float(np.percentile(small, share)) for share in (_SOLVENT_PERCENTILE, _PEAK_PERCENTILE))
    if not low < level < high:
        return None
    mean = float(np.mean([plane.mean(dtype=np.float64) for plane in volume]))
    square = float(np.mean([np.square(plane, dtype=np.float64).mean() for plane in volume]))
    scaled = np.rint(255 * np.clip((small - low) / (high - low), 0, 1)).astype(np.uint8)
    return SurfaceView(
        name=name,
        colour=colour,
        side=len(small),
        low=low,
        high=high,
        level=level,
        mean=mean,
        deviation=float(np.sqrt(square - mean**2)),
        voxel_A=None if pixel_size is None else factor * pixel_size * len(cube) / len(small),
        payload=base64.b64encode(gzip.compress(scaled.tobytes(), compresslevel=9, mtime=0)).decode(),
    )


def _halved(volume: Float[np.ndarray, "n n n"]) -> Float[np.ndarray, "m m m"]:
    """Means over blocks of two voxels a side."""
    half = len(volume) // 2
    blocks = volume[: 2 * half, : 2 * half, : 2 * half].reshape(half, 2, half, 2, half, 2)
    means: Float[np.ndarray, "m m m"] = blocks.mean((1, 3, 5))
    return means


def _around_particle(volume: Float[np.ndarray, "n n n"], level: float) -> Float[np.ndarray, "m m m"]:
    """The cube about the box's centre that holds all that is above ``level``, in whatever direction it is turned."""
    centre = len(volume) // 2
    offsets = np.argwhere(volume > level) - centre
    reach = np.sqrt((offsets**2).sum(1).max(initial=0))
    half = min(centre, int(np.ceil(_MARGIN * reach)) + 1)
    window = slice(centre - half, centre + half)
    return volume[window, window, window]
