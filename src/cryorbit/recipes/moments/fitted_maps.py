"""The maps of a job on moments as voxels: of all particles, and of both halves, superposed on it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.evaluation.align import Alignment, align_maps, correlation
from cryorbit.evaluation.fsc import fsc_curve, resolution_at
from cryorbit.evaluation.rigid_motion import move_map
from cryorbit.io.job_result import ComparedMap
from cryorbit.recipes.moments.inversion import Inversion
from cryorbit.recipes.moments.repeats import ALIGNMENT_BOX
from cryorbit.volumes.voxel import resample


@dataclass(frozen=True, slots=True)
class FittedMaps:
    """Maps on the grid of the images; made by ``of``.

    Attributes
    ----------
    volume
        The map.
    halves
        Those of both halves of the particles.
    pixel_size
        A.
    last_ring
        Frequency up to which moments were fitted, Fourier pixels.
    """

    volume: Float[Tensor, "n n n"]
    halves: Float[Tensor, "2 n n n"]
    pixel_size: float
    last_ring: float

    @classmethod
    def of(cls, inversion: Inversion, box: int, pixel_size: float) -> FittedMaps:
        """The best maps of an inversion."""
        volume = inversion.everything.volumes(box)[0]
        first, second = (half.volumes(box)[0] for half in inversion.fine)
        first = superpose(first, volume, pixel_size).aligned
        second = superpose(second, first, pixel_size).aligned
        frequencies = inversion.everything.problem.model.blur.frequencies
        last_ring = float(frequencies[-1].sqrt()) / (2 * math.pi) * box
        return cls(volume, torch.stack([first, second]), pixel_size, last_ring)

    @property
    def finest_A(self) -> float:  # noqa: N802 (units belong to the name)
        """Detail up to which the map was made, A."""
        return len(self.volume) * self.pixel_size / self.last_ring

    @property
    def resolution_A(self) -> float:  # noqa: N802
        """Where the maps of both halves correlate by 0.5, A; nothing is finer than the finest detail."""
        first, second = self.halves
        return max(self.finest_A, resolution_at(fsc_curve(first, second, self.pixel_size), 0.5))

    def compare(self, other: Float[Tensor, "n n n"], name: str) -> ComparedMap:
        """Agreement of the map with another on its grid, of the file ``name``."""
        alignment = superpose(self.volume, other, self.pixel_size)
        return ComparedMap(
            map=name,
            resolution_fsc05_A=resolution_at(fsc_curve(alignment.aligned, other, self.pixel_size), 0.5),
            correlation=correlation(alignment.aligned, other),
            hand_flipped=alignment.hand_flipped,
        )


def superpose(moving: Float[Tensor, "n n n"], reference: Float[Tensor, "n n n"], pixel_size: float) -> Alignment:
    """Bring a map of low resolution onto another; the motion is searched in a small box, which is fast."""
    box = moving.shape[-1]
    small = min(box, ALIGNMENT_BOX)
    alignment = align_maps(resample(moving, small), resample(reference, small), pixel_size * box / small)
    aligned = move_map(moving, alignment.rotation, alignment.shift_A / pixel_size, mirrored=alignment.hand_flipped)
    return replace(alignment, aligned=aligned)
