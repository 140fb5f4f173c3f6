"""Small sums over images in known poses, made of random numbers."""

from __future__ import annotations

import torch

from cryorbit.core.data import Poses
from cryorbit.fourier.half_disc import half_disc
from cryorbit.geometry.rotations import random_rotations
from cryorbit.imaging.observations import Observations
from cryorbit.studies.toader2023.posed_misfit import PosedMisfit
from cryorbit.volumes.fourier_ball import fourier_ball


def random_problem(
    generator: torch.Generator, *, images: int = 12, radius: float = 5.0, dtype: torch.dtype = torch.float64
) -> PosedMisfit:
    """Random data, weights and poses; nothing in it is consistent."""
    disc = half_disc(16, radius)
    shape = (images, len(disc))
    weight = torch.rand(shape, generator=generator, dtype=torch.float64) + 0.1
    parts = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    data = torch.complex(*parts)
    observations = Observations(data.to(dtype.to_complex()), weight.to(dtype), (data.abs() ** 2 / weight).to(dtype))
    shifts = torch.randn(images, 2, generator=generator, dtype=torch.float64)
    poses = Poses(random_rotations(images, generator), shifts)
    return PosedMisfit.of(observations, poses, disc, fourier_ball(16, radius), 1e-3)


def random_unknown(problem: PosedMisfit, generator: torch.Generator) -> torch.Tensor:
    """A random vector for the problem, in its precision."""
    noise = torch.randn(problem.ball.dimension, generator=generator, dtype=torch.float64)
    return noise.to(problem.observations.power)


def dense_hessian(problem: PosedMisfit) -> torch.Tensor:
    """The Hessian, column by column."""
    columns = torch.eye(problem.ball.dimension, dtype=torch.float64)
    return torch.stack([problem.hessian_vector(column, column, None) for column in columns], 1)
