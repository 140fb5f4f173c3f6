"""Where particles were looked at from, as cylinders around the map: a BILD file for ChimeraX, as RELION's."""

from __future__ import annotations

from pathlib import Path

import healpix
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.io.atomic import atomic_path

NSIDE = 12
"""Directions are counted in 12 * NSIDE^2 = 1,728 cells of equal area, five degrees wide."""
LONGEST = 0.4
"""Length of the longest cylinder over the radius of the sphere that they stand on."""
THICKNESS = 0.4 * (4 * np.pi / (12 * NSIDE**2)) ** 0.5
"""Radius of a cylinder over the radius of the sphere: neighbours do not touch."""


def write_view_directions(
    path: Path, rotations: Float[Tensor, "n 3 3"], box: int, pixel_size: float, diameter: float
) -> None:
    """Write a cylinder for every direction that particles were seen from, the longer and the redder the more there are.

    Parameters
    ----------
    path
        The file.
    rotations
        Poses; a particle in pose ``R`` is seen from ``R.T @ (0, 0, 1)``.
    box, pixel_size
        Of the map, so that the cylinders stand around it: its centre is at ``box // 2 * pixel_size``.
    diameter
        Of the particle, A; the cylinders stand on a sphere a tenth wider.
    """
    centre, radius = box // 2 * pixel_size, 0.55 * diameter
    counts, axes = count_directions(rotations)
    seen = counts > 0
    part = counts[seen] / counts.max(initial=1)
    inner = centre + radius * axes[seen]
    outer = centre + radius * (1 + LONGEST * part[:, None]) * axes[seen]
    with atomic_path(path) as temporary, temporary.open("w") as file:
        for share, start, end in zip(part, inner, outer, strict=True):
            ends = " ".join(f"{value:.2f}" for value in (*start, *end))
            file.write(f".color {share:.3f} 0 {1 - share:.3f}\n.cylinder {ends} {THICKNESS * radius:.2f}\n")


def count_directions(rotations: Float[Tensor, "n 3 3"]) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, "m 3"]]:
    """Particles in each cell of the sphere, and the cells' centres as unit vectors ``(x, y, z)``."""
    views = torch.nn.functional.normalize(rotations[:, 2].double().cpu(), dim=-1).numpy()
    polar, azimuth = np.arccos(views[:, 2].clip(-1, 1)), np.arctan2(views[:, 1], views[:, 0]) % (2 * np.pi)
    cells = 12 * NSIDE**2
    counts = np.bincount(healpix.ang2pix(NSIDE, polar, azimuth), minlength=cells).astype(float)
    theta, phi = healpix.pix2ang(NSIDE, np.arange(cells))
    axes = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    return counts, axes
