"""Rigid motion of a map: mirror, rotation and displacement, with interpolation that keeps every shell.

A cubic spline alone damps the outer shells; on a map that is first oversampled twice in Fourier space its error
stays near one per cent up to Nyquist.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage
from torch import Tensor

from cryorbit.fourier.shells import shell_indices
from cryorbit.volumes.voxel import resample


def move_map(
    volume: Float[Tensor, "n n n"],
    rotation: Float[Tensor, "3 3"],
    shift: Float[Tensor, " 3"],
    *,
    mirrored: bool = False,
) -> Float[Tensor, "n n n"]:
    """The map ``x -> volume(rotation.T @ (x - shift))``, with x = 0 at the centre voxel.

    Parameters
    ----------
    volume
        Map ``[z, y, x]``.
    rotation
        Acts on ``(x, y, z)``: a feature at ``x`` moves to ``rotation @ x + shift``.
    shift
        ``(x, y, z)``, voxels.
    mirrored
        Turn z into -z before rotating, which changes the hand.

    Returns
    -------
    Float[Tensor, "n n n"]
        The moved map; what enters from outside the box has the background grey value.
    """
    box = volume.shape[-1]
    background = background_level(volume)
    source = mirror(volume) if mirrored else volume
    fine = resample(low_pass(source - background), 2 * box).cpu().numpy()
    to_source = 2.0 * rotation.T.double().cpu().numpy()[::-1, ::-1]
    displacement = shift.double().cpu().numpy()[::-1]
    centre = box // 2
    moved = ndimage.affine_transform(
        fine,
        np.ascontiguousarray(to_source),
        offset=2.0 * centre - to_source @ (centre + displacement),
        output_shape=(box, box, box),
        order=3,
    )
    return torch.from_numpy(moved).to(volume) + background


def mirror(volume: Float[Tensor, "n n n"]) -> Float[Tensor, "n n n"]:
    """The map of opposite hand, z turned into -z about the centre voxel."""
    return volume.flip(0).roll(1 - volume.shape[0] % 2, 0)


def low_pass(volume: Float[Tensor, "n n n"]) -> Float[Tensor, "n n n"]:
    """The map without what lies outside the Nyquist sphere, the only part that survives every rotation."""
    inside = shell_indices(volume.shape[-1]).to(volume.device) < volume.shape[-1] // 2
    return torch.fft.irfftn(torch.fft.rfftn(volume) * inside, s=volume.shape)


def background_level(volume: Float[Tensor, "n n n"]) -> Float[Tensor, ""]:
    """Mean grey value near the surface of the sphere inscribed in the box."""
    axis = torch.arange(volume.shape[-1], device=volume.device) - volume.shape[-1] // 2
    square = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2
    half = volume.shape[-1] / 2
    return volume[(square > (0.9 * half) ** 2) & (square < half**2)].mean()
