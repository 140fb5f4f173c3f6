"""Finding the axes of a symmetric map that was reconstructed without symmetry."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.chunks import chunks
from cryorbit.geometry.so3_grid import hopf_grid, neighbourhood
from cryorbit.volumes.voxel import resample

SEARCH_SIZE = 32
POINTS = 3000
OPERATORS = 4
"""Operators that a candidate frame is scored by; a few generate the group."""
LEVELS = (7.5, 3.0, 1.2, 0.5)
BATCH = 64


def align_to_axes(
    volume: Float[Tensor, "m m m"], group: Float[Tensor, "g 3 3"]
) -> tuple[Float[Tensor, "m m m"], float]:
    """The map turned onto the axes of a point group and averaged over it, and how symmetric it was.

    The score is the mean correlation of the map with its copies under the group in the best frame: 1 for perfect
    symmetry; a map without the symmetry scores what any smooth map of its shape does.
    """
    frames = hopf_grid(2).to(volume)
    scores = symmetry_scores(volume, frames, group)
    best = frames[scores.topk(8).indices]
    for spacing in LEVELS:
        near = neighbourhood(best, spacing, 2).flatten(0, 1)
        scores = symmetry_scores(volume, near, group)
        best = near[scores.topk(3).indices]
    average = torch.stack([rotated(volume, operator @ best[0]) for operator in group]).mean(0)
    return average, float(scores.max())


def symmetry_scores(
    volume: Float[Tensor, "m m m"], frames: Float[Tensor, "f 3 3"], group: Float[Tensor, "g 3 3"]
) -> Float[Tensor, " f"]:
    """Correlation of the map with its copies, for each frame Q: V(Q^T g Q y) against V(y) over points y.

    Points fill the ball that holds the particle evenly (a Fibonacci lattice), and the map is looked at on a small
    box: an axis is known from low resolution.
    """
    small = resample(volume, min(SEARCH_SIZE, volume.shape[-1]))
    points = _ball_points(0.45 * small.shape[-1]).to(volume)
    reference = sample_map(small, points)
    operators = group[1:][:: max(1, (len(group) - 1) // OPERATORS)][:OPERATORS].to(volume)
    scores = []
    for part in chunks(len(frames), BATCH):
        frame = frames[part, None]
        moved = (frame.mT @ operators @ frame).flatten(0, 1)
        values = sample_map(small, points @ moved.mT)
        scores.append(_correlation(values, reference).unflatten(0, (-1, len(operators))).mean(1))
    return torch.cat(scores)


def rotated(volume: Float[Tensor, "m m m"], rotation: Float[Tensor, "3 3"]) -> Float[Tensor, "m m m"]:
    """The map turned about its centre: ``W(x) = V(rotation^T x)``, from a map of half the voxel size."""
    size = volume.shape[-1]
    axis = torch.arange(size, device=volume.device, dtype=volume.dtype) - size // 2
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    points = torch.stack([x, y, z], -1).flatten(0, -2)
    fine = resample(volume, 2 * size)
    return sample_map(fine, 2 * points @ rotation).reshape(size, size, size)


def sample_map(volume: Float[Tensor, "m m m"], points: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b"]:
    """Trilinear values of the map at ``(x, y, z)`` in voxels from its centre; 0 outside."""
    size = volume.shape[-1]
    grid = (points + size // 2) * (2 / (size - 1)) - 1
    values = torch.nn.functional.grid_sample(
        volume[None, None], grid.reshape(1, 1, 1, -1, 3), mode="bilinear", align_corners=True
    )
    return values.reshape(points.shape[:-1])


def _ball_points(radius: float) -> Float[Tensor, "p 3"]:
    step = torch.arange(POINTS, dtype=torch.float64) + 0.5
    z = 1 - 2 * step / POINTS
    azimuth = step * torch.pi * (3 - 5**0.5)
    ring = (1 - z**2).sqrt()
    # radii in the order of the golden ratio, so that directions and radii are not correlated
    distance = radius * ((step * 0.6180339887498949) % 1) ** (1 / 3)
    return torch.stack([ring * azimuth.cos(), ring * azimuth.sin(), z], -1) * distance[:, None]


def _correlation(values: Float[Tensor, "f p"], reference: Float[Tensor, " p"]) -> Float[Tensor, " f"]:
    values = values - values.mean(-1, keepdim=True)
    reference = reference - reference.mean()
    scale = values.norm(dim=-1) * reference.norm()
    return (values @ reference) / scale.clamp_min(torch.finfo(values.dtype).tiny)
