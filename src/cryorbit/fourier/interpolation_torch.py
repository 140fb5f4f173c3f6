"""Trilinear gather and insert in plain torch: any device, any precision; the reference for the kernels."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor


def gather_slices(
    volume: Complex[Tensor, "m m h"],
    rotations: Float[Tensor, "g 3 3"],
    frequencies: Float[Tensor, "p 2"],
    pad: int,
) -> Complex[Tensor, "g p"]:
    """Slices of ``volume``; see ``interpolation.gather_slices``."""
    points, mirrored = sample_points(rotations.to(volume.real), frequencies.to(volume.real), pad)
    size = volume.shape[0]
    flat = volume.flatten()
    slices = torch.zeros(points.shape[:-1], dtype=volume.dtype, device=volume.device)
    for index, weight in corners(points, size):
        slices += weight * flat[index]
    return torch.where(mirrored, slices.conj(), slices)


def insert_slices(
    values: Complex[Tensor, "g p"],
    weights: Float[Tensor, "g p"],
    rotations: Float[Tensor, "g 3 3"],
    frequencies: Float[Tensor, "p 2"],
    size: int,
    pad: int,
) -> tuple[Complex[Tensor, "m m h"], Float[Tensor, "m m h"]]:
    """Scatter of values and weights; see ``interpolation.insert_slices``."""
    points, mirrored = sample_points(rotations.to(weights), frequencies.to(weights), pad)
    upright = torch.where(mirrored, values.conj(), values).flatten()
    shape = (size, size, size // 2 + 1)
    total = shape[0] * shape[1] * shape[2]
    volume = torch.zeros(total, dtype=values.dtype, device=values.device)
    density = torch.zeros(total, dtype=weights.dtype, device=weights.device)
    for index, corner_weight in corners(points, size):
        flat_index, flat_weight = index.flatten(), corner_weight.flatten()
        volume.index_add_(0, flat_index, flat_weight * upright)
        density.index_add_(0, flat_index, flat_weight * weights.flatten())
    return volume.reshape(shape), density.reshape(shape)


def sample_points(
    rotations: Float[Tensor, "g 3 3"], frequencies: Float[Tensor, "p 2"], pad: int
) -> tuple[Float[Tensor, "g p 3"], Bool[Tensor, "g p"]]:
    """Points ``(x, y, z)`` with x >= 0 in padded Fourier pixels, and which of them were mirrored to get there."""
    points = pad * torch.einsum("pi,gij->gpj", frequencies, rotations[:, :2, :])
    mirrored = points[..., 0] < 0
    return torch.where(mirrored[..., None], -points, points), mirrored


def corners(points: Float[Tensor, "g p 3"], size: int) -> Iterator[tuple[Int[Tensor, "g p"], Float[Tensor, "g p"]]]:
    """Flat index and weight of each of the eight corners of the cell around each point."""
    base = points.floor()
    fraction = points - base
    corner = base.long()
    for dz in (0, 1):
        for dy in (0, 1):
            for dx in (0, 1):
                offset = torch.tensor([dx, dy, dz], device=points.device)
                weight = torch.where(offset.bool(), fraction, 1 - fraction).prod(-1)
                x, y, z = (corner + offset).unbind(-1)
                yield ((z % size) * size + y % size) * (size // 2 + 1) + x, weight
