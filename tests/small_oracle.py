"""A small sum over images that show nothing in particular, in double precision."""

import torch

from cryorbit.fourier.half_disc import half_disc
from cryorbit.imaging.observations import observe
from cryorbit.imaging.transfer import Transfer
from cryorbit.inference.pose_quadrature import ShiftPrior, pose_quadrature
from cryorbit.inference.priors import DensityPrior
from cryorbit.inference.volume_oracle import VolumeOracle
from cryorbit.volumes.voxel import working_grid

BOX, RADIUS = 16, 2.5


def small_oracle(images: int, generator: torch.Generator, sigma: float = 1.0) -> VolumeOracle:
    """An oracle of random images, with shifts unless ``sigma`` is zero."""
    disc = half_disc(BOX, RADIUS)
    shape = (images, len(disc))
    transform = 2 * torch.randn(shape, dtype=torch.complex128, generator=generator)
    ctf = torch.randn(shape, dtype=torch.float64, generator=generator)
    observations = observe(transform, Transfer(ctf), torch.ones(len(disc), dtype=torch.float64))
    quadrature = pose_quadrature(RADIUS, BOX, ShiftPrior(sigma), undersampling=2.0)
    return VolumeOracle.of(observations, working_grid(BOX, RADIUS), disc, quadrature, DensityPrior(0.1, 0.2))


def random_unknown(oracle: VolumeOracle, generator: torch.Generator) -> torch.Tensor:
    """An unknown whose slices are about as strong as the noise."""
    size = oracle.model.operator.grid.size
    return 2 * torch.randn(1, size, size, size, dtype=torch.float64, generator=generator)
