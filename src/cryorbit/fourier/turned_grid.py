"""Means of a Fourier volume over rotations that take its grid into itself: sums of symmetry copies from those of one.

Such rotations permute the axes and change signs. The volume is a complete half transform, as
``interpolation.join_mates`` leaves it; a point ``k`` of a turned volume is read at ``R k``. This module chooses between
the plain torch implementation, which runs on any device and is the reference, and the CPU kernel of
``turned_grid_cpu``.
"""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.fourier import turned_grid_cpu


def average_turned(
    volume: Complex[Tensor, "m m h"], density: Float[Tensor, "m m h"], rotations: Float[Tensor, "r 3 3"]
) -> None:
    """Replace both, in place, by the mean over ``R`` of ``volume(R k)`` and of the real, even ``density(R k)``.

    The mean is zero outside the largest sphere that the grid holds.

    Raises
    ------
    ValueError
        A rotation moves grid points to places between them.
    """
    if not bool((rotations == rotations.round()).all()):
        raise ValueError("every rotation must take the grid into itself: entries of 0, 1 and -1")
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
    full = torch.fft.fftfreq(size, 1 / size, device=density.device).long()
    y, x = torch.meshgrid(full, torch.arange(size // 2 + 1).to(full), indexing="ij")
    for plane, z in enumerate(full):
        points = torch.stack([x, y, z.expand_as(x)], -1)
        inside = points.square().sum(-1) < (size // 2) ** 2
        mean[plane], mean_density[plane] = 0, 0
        for rotation in rotations.to(full):
            # integer products of this size are sums: matmul of integers runs on few devices
            turned = (points[inside][:, None] * rotation).sum(-1)
            mirrored = turned[:, 0] < 0
            kx, ky, kz = torch.where(mirrored[:, None], -turned, turned).unbind(-1)
            value = volume[kz, ky, kx]
            mean[plane, inside] += torch.where(mirrored, value.conj(), value) / len(rotations)
            mean_density[plane, inside] += density[kz, ky, kx] / len(rotations)
