"""Whether two half-maps lie in one frame: their correlation alone does not tell why it is low."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.evaluation.align import align_maps
from cryorbit.fourier.shells import shell_indices, shell_sums
from cryorbit.volumes.voxel import resample

SHIFT_BOX, TURN_BOX = 64, 32
"""Box in whose voxels half-maps are shifted, and that in which they are rotated."""
COARSEST = 8
"""Shells that are compared: noise weighs little there. Each counts as its number, so that the outline of the particle,
which looks alike from all sides, does not decide alone."""
LEAST_TURN_DEG = 3.0
"""Least rotation that is told, degrees."""
BETTER = 1.2
"""Times that a moved half-map must agree better with the other one to be out of its place."""
ALIKE = 0.3
"""Correlation of these shells that the moved half-maps have at least; strangers reach 0.1 somewhere."""


@dataclass(frozen=True, slots=True)
class Misplacement:
    """How the second of two half-maps must be moved to agree with the first.

    Attributes
    ----------
    mirrored
        The axis, ``x``, ``y`` or ``z``, along which it must be mirrored; None for none.
    shift_px
        By how much it must at last be shifted, ``(x, y, z)``, voxels of the maps.
    angle_deg
        Angle by which it must be rotated before, degrees.
    """

    mirrored: str | None
    shift_px: tuple[float, float, float]
    angle_deg: float = 0.0


def misplacement(half1: Float[Tensor, "n n n"], half2: Float[Tensor, "n n n"]) -> Misplacement | None:
    """The motion after which half-maps agree much better, the plainest that does; None where they lie in place."""
    in_place, score, motion = _shifted_or_mirrored(half1, half2)
    if in_place >= 1 / BETTER:
        return None
    if score < 1 / BETTER:
        first, second = (resample(each, min(TURN_BOX, len(half1))) for each in (half1, half2))
        turned = align_maps(second, first, len(half1) / len(first))
        agreement = float(_agreement(first, turned.aligned)[0, 0, 0])
        if turned.angle_deg >= LEAST_TURN_DEG and agreement > BETTER * score:
            x, y, z = turned.shift_A.tolist()
            score, motion = agreement, Misplacement("z" if turned.hand_flipped else None, (x, y, z), turned.angle_deg)
    moved = motion.mirrored is not None or motion.angle_deg or any(motion.shift_px)
    return motion if moved and score > max(BETTER * in_place, ALIKE) else None


def _shifted_or_mirrored(
    half1: Float[Tensor, "n n n"], half2: Float[Tensor, "n n n"]
) -> tuple[float, float, Misplacement]:
    """How far half-maps agree in place, and how far after which shift, mirrored or not, that is the best."""
    box = min(SHIFT_BOX, len(half1))
    step = len(half1) / box
    first, second = (resample(each, box) for each in (half1, half2))
    scores: dict[str | None, tuple[float, tuple[float, float, float]]] = {}
    in_place = 0.0
    for name, axes in ((None, ()), ("z", (0,)), ("y", (1,)), ("x", (2,))):
        agreement = _agreement(first, second.flip(axes).roll([1] * len(axes), axes) if axes else second)
        in_place = in_place if axes else float(agreement[0, 0, 0])
        best = int(agreement.argmax())
        places = (best // box**2, best // box % box, best % box)
        z, y, x = (step * ((place + box // 2) % box - box // 2) for place in places)
        scores[name] = float(agreement.flatten()[best]), (x, y, z)
    mirrored = max(scores, key=lambda name: scores[name][0])
    score, shift = scores[mirrored]
    return in_place, score, Misplacement(mirrored, shift)


def _agreement(first: Float[Tensor, "m m m"], second: Float[Tensor, "m m m"]) -> Float[Tensor, "m m m"]:
    """Mean correlation of the coarsest shells after the second map was shifted by so many voxels, from 0 on."""
    shells = shell_indices(len(first)).to(first.device)
    used = (shells >= 1) & (shells <= COARSEST)
    whitened = []
    for volume in (first, second):
        transform = torch.fft.rfftn(volume) * used
        power = shell_sums(transform.abs().square().flatten(), shells.flatten(), int(shells.max()) + 1)
        # shell 0 is not used: it must only not be divided by
        weight = (power / torch.arange(len(power)).to(power).clamp_min(1)).clamp_min(torch.finfo(power.dtype).tiny)
        whitened.append(transform * weight.rsqrt()[shells] * used)
    common = torch.fft.irfftn(whitened[0] * whitened[1].conj(), s=first.shape)
    norms = (float(torch.fft.irfftn(each.abs().square(), s=first.shape)[0, 0, 0]) for each in whitened)
    return common / max(math.sqrt(math.prod(norms)), torch.finfo(first.dtype).tiny)
