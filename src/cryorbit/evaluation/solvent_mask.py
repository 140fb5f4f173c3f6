"""Soft mask around the density of a map, found from the map itself."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor

from cryorbit.evaluation.radial_filter import apply_gain, low_pass
from cryorbit.imaging.masks import soft_ball

THRESHOLD = 0.2
"""Part of the robust maximum above which density is particle: cryoSPARC's value, as the distances 6 and 14 A are."""
ROBUST_QUANTILE = 0.995
"""Part of the voxels that lie below the robust maximum: a few bright ones do not set it."""
SMALLEST_PART = 0.1
"""Connected parts of at least this part of the largest one's volume are kept; smaller ones are noise."""
LEAST_NEAR_PX, LEAST_FAR_PX = 2.0, 5.0
"""Distances at least, voxels: with coarse voxels a few angstroms would leave no soft edge."""
SMOOTHEST_A = 15.0
"""Finest resolution at which the outline of a particle is looked for, A: beyond it noise and holes appear."""


def outline_resolution(resolution_A: float) -> float:
    """Resolution in A at which to look for the outline of a map of ``resolution_A``: safely within what is known."""
    return max(SMOOTHEST_A, 1.5 * resolution_A)


def solvent_mask(
    volume: Float[Tensor, "n n n"],
    pixel_size: float,
    resolution_A: float,
    near_A: float = 6.0,
    far_A: float = 14.0,
    window: Float[Tensor, "n n n"] | None = None,
) -> Float[Tensor, "n n n"]:
    """Soft mask in [0, 1] around the density of a map.

    The map is low-passed and cut at a fifth of its robust maximum; the large connected parts are the particle. The
    mask is 1 to ``near_A`` from it and falls as a cosine to 0 at ``far_A``.

    Parameters
    ----------
    volume
        Map with white density.
    pixel_size
        A.
    resolution_A
        Resolution at which the outline is looked for, A (see ``outline_resolution``).
    near_A, far_A
        Distances in A; at least 2 and 5 voxels are taken.
    window
        Soft region that the mask stays within and in which the maximum is looked for. Default: the ball in the box.
    """
    box = volume.shape[-1]
    region = soft_ball(box, box / 2 - 3, 2).to(volume) if window is None else window.to(volume)
    particle = outlined(volume, pixel_size, resolution_A, region)
    near, far = max(near_A / pixel_size, LEAST_NEAR_PX), max(far_A / pixel_size, LEAST_FAR_PX)
    return soft_edge(particle, near, far).to(volume) * region


def outlined(
    volume: Float[Tensor, "n n n"], pixel_size: float, resolution_A: float, region: Float[Tensor, "n n n"]
) -> Bool[Tensor, "n n n"]:
    """Where the particle is within a region, at ``resolution_A``: the large parts above a fifth of the maximum."""
    smooth = apply_gain(volume, low_pass(volume.shape[-1], pixel_size, resolution_A))
    threshold = THRESHOLD * _quantile(smooth[region > 0.5], ROBUST_QUANTILE)
    return torch.from_numpy(_large_parts(((smooth > threshold) & (region > 0.5)).cpu().numpy()))


def soft_edge(inside: Bool[Tensor, "n n n"], near: float, far: float) -> Float[Tensor, "n n n"]:
    """1 to ``near`` voxels from what is inside, a cosine down to 0 at ``far`` voxels."""
    distance = torch.from_numpy(ndimage.distance_transform_edt(~inside.numpy()))
    return 0.5 * (1 + torch.cos(torch.pi * ((distance - near) / (far - near)).clamp(0, 1)))


def _quantile(values: Float[Tensor, " v"], part: float) -> float:
    """Quantile of any number of values (``torch.quantile`` refuses more than 16 million)."""
    return float(values.kthvalue(max(1, round(part * len(values)))).values)


def _large_parts(inside: Bool[np.ndarray, "n n n"]) -> Bool[np.ndarray, "n n n"]:
    """The connected parts that are not much smaller than the largest; parts that touch at corners are one."""
    labels, count = ndimage.label(inside, np.ones((3, 3, 3)))
    if count == 0:
        return inside
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    kept: Bool[np.ndarray, "n n n"] = (sizes >= SMALLEST_PART * sizes.max())[labels] & inside
    return kept
