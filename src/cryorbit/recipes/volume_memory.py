"""Whether the volumes of a job fit into the memory it may take: asked before any work.

The sizes are those of the padded Fourier grid, V points of its half: D and W are 12 bytes a point for every half-set
and map; what the M-step needs beside them was measured.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace

import torch

from cryorbit.core.memory import BATCH_BYTES, require, room
from cryorbit.recipes.settings import ParticleSettings
from cryorbit.volumes.voxel import working_grid

SUMS = 24
"""Bytes a grid point and map: D, complex64, and W, float32, of two half-sets."""
ONE_SOLUTION = 46
"""Bytes a grid point that dividing D by W takes, one volume at a time."""
ONE_CORRELATION = 18
"""Bytes a grid point and map that the correlation of two half maps takes."""
SPECTRUM = 8
"""Bytes a grid point and map of a reference, complex64."""
INSERTION = 12
"""Bytes a grid point that each thread, and the sum of all, takes while slices go into new volumes."""
MAPS_AT_ONCE = 12
"""Real volumes of the full box, for each map, that are alive when results are made and written."""
SMALLEST_RADIUS = 8


@dataclass(frozen=True, slots=True)
class VolumeLoad:
    """The volumes of a job at their largest.

    Attributes
    ----------
    box
        Side of the images, pixels.
    radius
        Fourier radius that slices are inserted to, pixels.
    maps
        How many maps are made.
    searched
        Whether poses are searched at that radius: it takes the spectra of references, and slices go into new volumes.
    sums
        How many sums over images are kept at once.
    """

    box: int
    radius: float
    maps: int = 1
    searched: bool = False
    sums: int = 1

    def needs(self, threads: int) -> dict[str, int]:
        """Bytes by purpose, beyond what the process holds already, when ``threads`` insert slices."""
        padded = working_grid(self.box, self.radius).padded
        points = padded**2 * (padded // 2 + 1)
        working = max(ONE_SOLUTION, ONE_CORRELATION * self.maps)
        if self.searched:
            working = max(working, SPECTRUM * self.maps + INSERTION * (threads + 2))
        on_full_box = 4 * MAPS_AT_ONCE * self.maps * self.box**3
        return {
            "sums over images": SUMS * self.sums * self.maps * points,
            "volumes in the making": max(working * points, on_full_box),
            "images": 2 * BATCH_BYTES,
        }


def require_volumes(settings: ParticleSettings, load: VolumeLoad, pixel_size: float | None = None) -> None:
    """Raise `InputError` unless the volumes of a job fit.

    Parameters
    ----------
    settings
        Of the recipe: memory, device, threads.
    load
        The volumes.
    pixel_size
        Of the images, A, where a coarser resolution makes the volumes smaller.
    """
    allowed = room(settings.memory, torch.device(settings.device))
    threads = (settings.threads or os.cpu_count() or 1) if settings.device == "cpu" else 1
    mend = "give more --memory" + (", fewer classes" if load.maps > 1 else "")
    if pixel_size is not None:
        radii = (replace(load, radius=float(radius)) for radius in range(int(load.radius), SMALLEST_RADIUS, -1))
        fitting = next((each.radius for each in radii if sum(each.needs(threads).values()) <= allowed), None)
        if fitting is not None:
            # rounded up: at the resolution that is read it must fit
            resolution = math.ceil(10 * load.box * pixel_size / fitting) / 10
            mend += f", or a coarser --max-resolution: {resolution:.1f} would fit"
    require(load.needs(threads), allowed, mend)
