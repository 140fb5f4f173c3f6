"""Where a pass over images works."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from cryorbit.fourier.half_disc import HalfDisc
from cryorbit.volumes.voxel import VoxelGrid


@dataclass(frozen=True, slots=True)
class Domain:
    """Where a pass works: the working box, the half disc, and the noise variance of each shell."""

    grid: VoxelGrid
    disc: HalfDisc
    noise_variance: Float[Tensor, " s"]
