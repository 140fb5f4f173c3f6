"""Means of a Fourier volume over rotations: D and W of all symmetry copies from those of one.

The volume is a complete half transform, as ``interpolation.join_mates`` leaves it. A point ``k`` of a turned volume is
read at ``R k``, between grid points trilinearly. This module chooses between the plain torch implementation, which runs
on any device and is the reference, and the CPU kernel of ``turned_grid_cpu``.
"""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.fourier import turned_grid_cpu
from cryorbit.fourier.interpolation_torch import corners


def average_turned(
    volume: Complex[Tensor, "m m h"], density: Float[Tensor, "m m h"], rotations: Float[Tensor, "r 3 3"]
) -> None:
    """Replace both, in place, by the mean over ``R`` of ``volume(R k)`` and of the real, even ``density(R k)``.

    The mean is zero outside the largest sphere that the grid holds. Rotations with entries of exactly 0, 1 and -1 move
    grid points onto each other: their means are exact.
    """
    turned = volume.clone(), density.clone()
    if volume.device.type == "cpu" and volume.dtype == torch.complex64:
        turned_grid_cpu.average_turned(*turned, rotations, volume, density)
    else:
        reference_average(*turned, rotations, volume, density)


def reference_average(
    volume: Complex[Tensor, "m m h"],
    density: Float[Tensor, "m m h"],
    rotations: Float[Tensor, "r 3 3"],
    mean: Complex[Tensor, "m m h"],
    mean_density: Float[Tensor, "m m h"],
) -> None:
    """Write the means in plain torch, plane after plane, for any device and precision."""
    size = volume.shape[0]
    full = torch.fft.fftfreq(size, 1 / size, device=density.device, dtype=density.dtype)
    y, x = torch.meshgrid(full, torch.arange(size // 2 + 1).to(full), indexing="ij")
    flat, flat_density = volume.flatten(), density.flatten()
    for plane, z in enumerate(full):
        points = torch.stack([x, y, z.expand_as(x)], -1)
        # within the sphere the corners of a turned point are on the grid
        inside = points.square().sum(-1) < (size // 2) ** 2
        value, weight = flat.new_zeros(int(inside.sum())), flat_density.new_zeros(int(inside.sum()))
        for rotation in rotations.to(density):
            turned = points[inside] @ rotation.mT
            mirrored = turned[:, 0] < 0
            for index, share in corners(torch.where(mirrored[:, None], -turned, turned), size):
                value += share * torch.where(mirrored, flat[index].conj(), flat[index])
                weight += share * flat_density[index]
        mean[plane], mean_density[plane] = 0, 0
        mean[plane, inside], mean_density[plane, inside] = value / len(rotations), weight / len(rotations)
