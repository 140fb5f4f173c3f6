"""Phantoms made of Gaussian blobs: no symmetry, smooth, and with projections known in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

NEGLIGIBLE = 1e-4
"""Voxels below this part of the maximum are set to 0, so that a phantom ends within its box."""


@dataclass(frozen=True, slots=True)
class Blobs:
    """A sum of isotropic Gaussians.

    Attributes
    ----------
    centers
        ``(x, y, z)`` from the centre of the box, pixels, float64.
    widths
        Standard deviations, pixels.
    heights
        Values at the centres.
    """

    centers: Float[Tensor, "b 3"]
    widths: Float[Tensor, " b"]
    heights: Float[Tensor, " b"]


def random_blobs(box: int, generator: torch.Generator, count: int = 16) -> Blobs:
    """Blobs within a quarter of the box from its centre, their centre of mass there, wide enough for the pixels."""
    directions = torch.nn.functional.normalize(_normal((count, 3), generator), dim=-1)
    radii = 0.22 * box * _uniform((count, 1), generator) ** (1 / 3)
    widths = box * (0.04 + 0.03 * _uniform((count,), generator))
    heights = 0.5 + _uniform((count,), generator)
    centers = directions * radii
    masses = (heights * widths**3)[:, None]
    return Blobs(centers - (masses * centers).sum(0) / masses.sum(), widths, heights)


def blob_volume(blobs: Blobs, box: int) -> Float[Tensor, "n n n"]:
    """Values of the blobs at the voxels ``[z, y, x]``, float32; 0 where negligible."""
    x, y, z = (_profiles(blobs.centers[:, axis], blobs.widths, box) for axis in range(3))
    volume = torch.einsum("b,bz,by,bx->zyx", blobs.heights, z, y, x)
    return torch.where(volume > NEGLIGIBLE * volume.max(), volume, 0.0).float()


def blob_projections(blobs: Blobs, rotations: Float[Tensor, "g 3 3"], box: int) -> Float[Tensor, "g n n"]:
    """Integrals of the blobs along the view directions of G poses, at the pixels ``[y, x]``, float64.

    In pose ``R`` the point ``c`` of the volume appears at the first two coordinates of ``R c``.
    """
    seen = torch.einsum("gij,bj->gbi", rotations.double(), blobs.centers)
    x, y = (_profiles(seen[..., axis], blobs.widths, box) for axis in range(2))
    return torch.einsum("b,gby,gbx->gyx", blobs.heights * blobs.widths * math.sqrt(2 * math.pi), y, x)


def random_blob_phantom(box: int, generator: torch.Generator, count: int = 16) -> Float[Tensor, "n n n"]:
    """An asymmetric positive map ``[z, y, x]`` of ``count`` random blobs, float32."""
    return blob_volume(random_blobs(box, generator, count), box)


def _profiles(centers: Float[Tensor, "*g b"], widths: Float[Tensor, " b"], box: int) -> Float[Tensor, "*g b p"]:
    """Gaussian profiles of height 1 along an axis of the box."""
    pixels = torch.arange(box, dtype=torch.float64) - box // 2
    return torch.exp(-0.5 * ((pixels - centers[..., None]) / widths[..., None]) ** 2)


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Float[Tensor, "..."]:
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Float[Tensor, "..."]:
    return torch.rand(shape, generator=generator, dtype=torch.float64)
