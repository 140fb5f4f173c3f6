"""Whether the volumes of a job fit into the memory it may take: asked before any work.

The sizes are those of the padded Fourier grid, V points of its half: D and W are 12 bytes a point for every half-set
and map, and a map of the working box is one byte a point. What is made some planes at a time does not count. Nothing
here depends on the number of threads: they share all volumes. ``benchmarks/memory.py`` holds the sum to what is taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from cryorbit.core.memory import BATCH_BYTES, require, room
from cryorbit.recipes.settings import ParticleSettings
from cryorbit.volumes.padded_grid import PAD
from cryorbit.volumes.voxel import working_grid

SUMS = 24
"""Bytes a grid point and map: D, complex64, and W, float32, of two half-sets."""
SPECTRUM = 8
"""Bytes a grid point and map of a reference, complex64, while poses are searched."""
AVERAGE = 12
"""Bytes a grid point of a copy of D and W of one map, while they are averaged over a point group."""
SOLUTION = 5
"""Bytes a grid point of one solution or correlation in the making: two of three axes transformed, and its map."""
MAPS = 5
"""Maps of the working box, for each map that is made: references and half maps, the old and the new, and their sum."""
REGIONS = 2
"""Maps of the working box beside them: a window, a mask, and two maps within the window."""
FINISHED_MAPS, FINISHING_MAPS = 5, 16
"""Maps of the full box when results are made: for each map that is written, and for the one that is at work."""
CELL = 150
"""Bytes of a coarse pose of an image, with its copies while poses are sorted by image."""
SMALLEST_RADIUS = 8
"""A coarser resolution is offered as a fix down to this Fourier radius."""


@dataclass(frozen=True, slots=True)
class VolumeLoad:
    """The volumes of a job at their largest, and the coarse poses kept beside them.

    Attributes
    ----------
    box
        Side of the images, pixels.
    radius
        Fourier radius that slices are inserted to, pixels.
    maps
        How many maps are made.
    searched
        Whether poses are searched at that radius: it takes the spectra of references.
    symmetric
        Whether sums are averaged over a point group.
    sums
        How many sums over images are kept at once.
    cells
        Coarse poses that are kept at once, of all images together.
    """

    box: int
    radius: float
    maps: int = 1
    searched: bool = False
    symmetric: bool = False
    sums: int = 1
    cells: int = 0

    def needs(self) -> dict[str, int]:
        """Bytes by purpose, beyond what the process holds already."""
        padded = working_grid(self.box, self.radius).padded
        points = padded**2 * (padded // 2 + 1)
        # slices reach the rows within a circle, and the others take no memory; sums made of sums are written whole
        written = math.pi * ((PAD * self.radius + 1) / padded) ** 2
        sums = SUMS * (written + self.sums - 1) * self.maps
        kept = MAPS * self.maps + REGIONS
        searching = SPECTRUM * self.maps if self.searched else 0
        working = kept + max(searching, AVERAGE if self.symmetric else 0, SOLUTION)
        finishing = 4 * (FINISHED_MAPS * self.maps + FINISHING_MAPS) * self.box**3
        # the sums are gone before the results are made
        volumes = max(working * points, finishing - int(sums * points))
        needs = {"sums over images": int(sums * points), "volumes in the making": volumes, "images": BATCH_BYTES}
        return needs | ({"coarse poses": CELL * self.cells} if self.cells else {})


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
    fixes = ["allow more memory (--memory)"] + ["fewer classes"] * (load.maps > 1)
    if pixel_size is not None:
        radii = (replace(load, radius=float(radius)) for radius in range(int(load.radius), SMALLEST_RADIUS, -1))
        fitting = next((each.radius for each in radii if sum(each.needs().values()) <= allowed), None)
        if fitting is not None:
            # rounded up: at the resolution that is read it must fit
            resolution = math.ceil(10 * load.box * pixel_size / fitting) / 10
            fixes.append(f"a coarser resolution (--max-resolution {resolution:.1f})")
    require(load.needs(), allowed, " or ".join([", ".join(fixes[:-1]), fixes[-1]] if len(fixes) > 1 else fixes))
