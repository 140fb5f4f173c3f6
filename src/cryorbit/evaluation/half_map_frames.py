"""Whether two half-maps lie in one frame, and a mask on the particle: no correlation within the mask tells."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.volumes.voxel import resample

WORKING_BOX = 64
"""Box in which half-maps are compared, voxels."""
BETTER = 1.2
"""Times that a moved half-map must agree better with the other one to be out of its place."""
ALIKE = 0.3
"""Correlation that the moved half-maps have at least; strangers reach 0.1 somewhere."""
COVERED = 0.5
"""Part of the faces of the box that a mask of the outside covers at least."""


@dataclass(frozen=True, slots=True)
class Misplacement:
    """How the second of two half-maps must be moved to agree with the first.

    Attributes
    ----------
    mirrored
        The axis, ``x``, ``y`` or ``z``, along which it must be mirrored; None for none.
    shift_px
        By how much it must then be shifted, ``(x, y, z)``, voxels of the maps.
    """

    mirrored: str | None
    shift_px: tuple[float, float, float]


def misplacement(half1: Float[Tensor, "n n n"], half2: Float[Tensor, "n n n"]) -> Misplacement | None:
    """The shift, or the mirroring and shift, after which half-maps agree much better; None where they lie in place."""
    box = min(WORKING_BOX, len(half1))
    step = len(half1) / box
    first, second = (_standardised(resample(each, box)) for each in (half1, half2))
    scores: dict[str | None, tuple[float, tuple[float, float, float]]] = {}
    transform = torch.fft.rfftn(first)
    for name, axes in ((None, ()), ("z", (0,)), ("y", (1,)), ("x", (2,))):
        moved = second.flip(axes).roll([1] * len(axes), axes) if axes else second
        agreement = torch.fft.irfftn(transform * torch.fft.rfftn(moved).conj(), s=first.shape)
        best = int(agreement.argmax())
        places = (best // box**2, best // box % box, best % box)
        z, y, x = (step * ((place + box // 2) % box - box // 2) for place in places)
        scores[name] = float(agreement.flatten()[best]), (x, y, z)
    mirrored = max(scores, key=lambda name: scores[name][0])
    score, shift = scores[mirrored]
    in_place = float((first * second).sum())
    if score <= max(BETTER * abs(in_place), ALIKE) or (mirrored is None and not any(shift)):
        return None
    return Misplacement(mirrored, shift)


def covers_the_outside(
    mask: Float[Tensor, "n n n"], half1: Float[Tensor, "n n n"], half2: Float[Tensor, "n n n"]
) -> bool:
    """Whether a mask covers the faces of the box, and half-maps have more in common where it does not cover them."""
    faces = torch.cat([mask[[0, -1]].flatten(), mask[:, [0, -1]].flatten(), mask[:, :, [0, -1]].flatten()])
    outside = 1 - mask
    if float(faces.mean()) < COVERED or float(outside.sum()) < 1:
        return False
    common = (half1 - half1.mean()) * (half2 - half2.mean())
    within, without = (float((common * each).sum() / each.sum()) for each in (mask, outside))
    return without > within


def _standardised(volume: Float[Tensor, "n n n"]) -> Float[Tensor, "n n n"]:
    centred = volume - volume.mean()
    return centred / centred.norm().clamp_min(torch.finfo(volume.dtype).tiny)
