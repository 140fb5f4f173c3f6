"""Simulated images of a volume in the spherical Bessel basis, in real coordinates of their transforms."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.geometry.rotations import random_rotations
from cryorbit.studies.paul2024.bessel.slices import BesselSlices
from cryorbit.volumes.spherical_bessel import SphericalBessel


@dataclass(frozen=True, slots=True)
class BesselImages:
    """Simulated images, what they show without noise, and the noise.

    Attributes
    ----------
    data, clean
        Images with and without noise.
    rotations
        Poses.
    sigma
        Standard deviation of the noise in every coordinate, and in every pixel.
    """

    data: Float[Tensor, "n q"]
    clean: Float[Tensor, "n q"]
    rotations: Float[Tensor, "n 3 3"]
    sigma: float


def draw_bessel_images(
    basis: SphericalBessel,
    coefficients: Float[Tensor, " d"],
    frequencies: Float[Tensor, "p 2"],
    count: int,
    snr: float,
    generator: torch.Generator,
) -> BesselImages:
    """``count`` images in poses uniform on SO(3), with white noise; ``snr`` is signal power over noise power."""
    rotations = random_rotations(count, generator).to(coefficients)
    clean = BesselSlices.of(basis, frequencies, rotations).project(coefficients)
    # the imaginary part of the origin is not a coordinate of an image, and has no noise
    real = torch.cat([torch.ones(len(frequencies), dtype=torch.bool), (frequencies != 0).any(-1)])
    sigma = float((clean.square().sum() / (snr * count * real.sum())).sqrt())
    noise = torch.randn(clean.shape, generator=generator, dtype=clean.dtype) * real
    return BesselImages(clean + sigma * noise, clean, rotations, sigma)


def random_gaussians(
    count: int, spread: float, width: float, box: int, generator: torch.Generator
) -> Float[Tensor, "n n n"]:
    """A map of Gaussians of equal ``width`` about the middle, heights of 1/2 to 1; lengths in voxels, float64."""
    centres = spread * torch.randn(count, 3, generator=generator, dtype=torch.float64)
    centres = centres - centres.mean(0)
    heights = 0.5 + 0.5 * torch.rand(count, generator=generator, dtype=torch.float64)
    line = torch.arange(box, dtype=torch.float64) - box // 2
    along = torch.exp(-((line - centres[..., None]) ** 2) / (2 * width**2))
    return torch.einsum("c,cx,cy,cz->zyx", heights, along[:, 0], along[:, 1], along[:, 2])
