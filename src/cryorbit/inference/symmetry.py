"""Finding the axes and the centre of a symmetric map that was reconstructed without symmetry.

The map need not be centred, and pieces of neighbours may stand at its edge. The amplitudes of its transform do not
change when it is moved, so they tell likely axes before the centre is known. Under the right axes a map and its turned
copy are displaced by ``(1 - g) c``, which tells the centre ``c``. Around that, within the particle's radius, axes are
searched once more in real space, and the best are refined together with the centre.

Frames are compared by what differs in direction: the average over each sphere about the centre is taken out. It agrees
with its copies in any frame, and in a hollow shell it is nearly all there is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import minimize
from torch import Tensor

from cryorbit.core.chunks import chunks
from cryorbit.geometry.ball_points import ball_points
from cryorbit.geometry.point_groups import asymmetric_unit
from cryorbit.geometry.rotations import rotvec_to_matrix
from cryorbit.geometry.so3_grid import hopf_grid
from cryorbit.inference.constraints import centre_offset
from cryorbit.inference.turned_map import rotated, sample_map
from cryorbit.volumes.voxel import resample

SEARCH_SIZE = 32
"""Box on which axes are looked for: they are known from low resolution."""
RADII, DIRECTION_ORDER, SPARSE_ORDER = 12, 2, 1
"""Points at which a map is compared with its copies: spheres, and HEALPix orders, of the last and of the first look."""
SCREENING_OPERATORS, SCREENED = 4, 16
"""All frames are looked at with about so many operators, and one in so many with all."""
SPECTRUM_PART = 0.6
"""Part of the radius of the transform whose amplitudes are compared: further out there is mostly noise."""
FEW_OPERATORS = 8
"""Group order below which a grid of 15 degrees is searched; larger groups leave room for one of 7.5 degrees."""
CENTRE_OPERATORS = 4
STARTS, FINALISTS = 5, 2
ANGLE_DEG, STEP = 6.0, 1.0
"""First steps of the refinement, degrees and voxels of the small box."""
EVALUATIONS = 300
BATCH = 32


@dataclass(frozen=True, slots=True)
class SymmetryAxes:
    """Where a map has the axes of a point group.

    Attributes
    ----------
    frame
        Q: ``V(Q^T y + centre)`` as a function of y has its axes where the group has them.
    centre
        ``(x, y, z)`` in voxels from the middle of the box; along the only axis of a Cn the centre of mass.
    score
        Mean correlation of the map with its copies within the particle's radius: 1 for perfect symmetry; a map without
        the symmetry scores what any smooth map of its shape does.
    structure_score
        The same with the average over each sphere about the centre taken out: 0 where there is no symmetry.
    """

    frame: Float[Tensor, "3 3"]
    centre: Float[Tensor, " 3"]
    score: float
    structure_score: float


def find_axes(volume: Float[Tensor, "m m m"], group: Float[Tensor, "g 3 3"], radius: float) -> SymmetryAxes:
    """The axes and the centre under which the map agrees best with its copies within ``radius`` voxels."""
    small = resample(volume, min(SEARCH_SIZE, len(volume)))
    scale = len(small) / len(volume)
    sparse, ball = (ball_points(radius * scale, RADII, order).to(small) for order in (SPARSE_ORDER, DIRECTION_ORDER))
    operators, frames = without_inverses(group).to(small), distinct_frames(group).to(small)
    likely = _likely_frames(whitened_amplitudes(small), frames, SPECTRUM_PART * len(small), operators)
    centres = torch.stack([displaced_centre(small, frame, group.to(small)) for frame in likely])
    centre = centres[_scores(small, likely, centres, operators, ball, structure=False).argmax()]
    nearby = _likely_frames(small, frames, radius * scale, operators, centre)
    starts = [*zip(likely, centres, strict=True), *((frame, centre) for frame in nearby)]
    refined = [_refined(small, frame, centre, group.to(small), operators, sparse) for frame, centre in starts]
    finalists = sorted(refined, key=lambda axes: axes.structure_score)[-FINALISTS:]
    ends = [_refined(small, each.frame, each.centre, group.to(small), operators, ball) for each in finalists]
    best = max(ends, key=lambda axes: axes.structure_score)
    score = _scores(small, best.frame[None], best.centre[None], operators, ball, structure=False)
    return replace(best, centre=best.centre / scale, score=float(score))


def turned_to_axes(volume: Float[Tensor, "m m m"], axes: SymmetryAxes) -> Float[Tensor, "m m m"]:
    """The map centred and turned so that its axes lie where the group has them."""
    return rotated(volume, axes.frame, axes.centre)


def average_over_group(
    volume: Float[Tensor, "m m m"], axes: SymmetryAxes, group: Float[Tensor, "g 3 3"]
) -> Float[Tensor, "m m m"]:
    """The map centred, turned to its axes and averaged over the group."""
    return torch.stack([rotated(volume, operator @ axes.frame, axes.centre) for operator in group.to(volume)]).mean(0)


def without_inverses(group: Float[Tensor, "g 3 3"]) -> Float[Tensor, "o 3 3"]:
    """The operators but the identity, one of each pair of inverses: both give the same correlation."""
    kept: list[Tensor] = []
    for operator in group[1:]:
        # products of generators are the same operator but for rounding
        if not any(torch.linalg.matrix_norm(operator.mT - other) < 1e-6 for other in kept):
            kept.append(operator)
    return torch.stack(kept)


def distinct_frames(group: Float[Tensor, "g 3 3"]) -> Float[Tensor, "f 3 3"]:
    """A grid of frames without those that differ by an operator of the group."""
    frames = hopf_grid(2 if len(group) < FEW_OPERATORS else 3)
    return frames[asymmetric_unit(frames.mT, group.double())]


def _likely_frames(
    volume: Float[Tensor, "m m m"],
    frames: Float[Tensor, "f 3 3"],
    radius: float,
    operators: Float[Tensor, "o 3 3"],
    centre: Float[Tensor, " 3"] | None = None,
) -> Float[Tensor, "s 3 3"]:
    """The frames that fit best about one centre: all by a few operators and points, the better part by all of them."""
    places = frames.new_zeros(len(frames), 3) if centre is None else centre.expand(len(frames), 3)
    sparse, ball = (ball_points(radius, RADII, order).to(volume) for order in (SPARSE_ORDER, DIRECTION_ORDER))
    few = operators[:: max(1, len(operators) // SCREENING_OPERATORS)]
    rough = _scores(volume, frames, places, few, sparse, structure=True)
    better = rough.topk(max(min(STARTS, len(frames)), len(frames) // SCREENED)).indices
    fits = _scores(volume, frames[better], places[better], operators, ball, structure=True)
    return frames[better[fits.topk(min(STARTS, len(frames))).indices]]


def _scores(
    volume: Float[Tensor, "m m m"],
    frames: Float[Tensor, "f 3 3"],
    centres: Float[Tensor, "f 3"],
    operators: Float[Tensor, "o 3 3"],
    spheres: Float[Tensor, "r d 3"],
    *,
    structure: bool,
) -> Float[Tensor, " f"]:
    """Mean correlation of the map with its copies about each centre, for each frame Q: ``V(c + Q^T g Q y)``.

    With ``structure``, of what is left when the mean over each sphere is taken out; else the mean over all of them.
    """
    dims = (-1,) if structure else (-2, -1)
    scores = []
    for part in chunks(len(frames), BATCH):
        frame, centre = frames[part, None], centres[part, None, None, None]
        copies = (frame.mT @ operators @ frame)[:, :, None]
        values = sample_map(volume, spheres @ copies.mT + centre)
        reference = sample_map(volume, spheres + centre)
        values, reference = (v - v.mean(dims, keepdim=True) for v in (values, reference))
        scale = values.norm(dim=(-2, -1)) * reference.norm(dim=(-2, -1))
        products = (values * reference).sum((-2, -1))
        scores.append((products / scale.clamp_min(torch.finfo(values.dtype).tiny)).mean(1))
    return torch.cat(scores)


def whitened_amplitudes(volume: Float[Tensor, "m m m"]) -> Float[Tensor, "n n n"]:
    """Amplitudes of the map's transform, each shell on one scale: they do not depend on the centre."""
    size = len(volume)
    # samples half a Fourier pixel apart: squared amplitudes vary twice as fast as the transform
    padded = torch.nn.functional.pad(volume, (0, size) * 3)
    amplitude = torch.fft.fftshift(torch.fft.fftn(padded)).abs()
    axis = torch.arange(2 * size, device=volume.device, dtype=volume.dtype) - size
    shell = torch.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).round().long().flatten()
    power = torch.bincount(shell, amplitude.flatten() ** 2) / torch.bincount(shell)
    whitened = amplitude / power[shell].reshape(amplitude.shape).sqrt().clamp_min(torch.finfo(power.dtype).tiny)
    return whitened.to(volume)


def displaced_centre(
    volume: Float[Tensor, "m m m"], frame: Float[Tensor, "3 3"], group: Float[Tensor, "g 3 3"]
) -> Float[Tensor, " 3"]:
    """The centre from the displacements ``(1 - g) c`` at which turned copies fit best, by least squares.

    What the group leaves undetermined, along the axis of a Cn, is that of the centre of mass.
    """
    size = len(volume)
    # padded: displacements of up to the box must not come round at its other side
    spectrum = torch.fft.rfftn(torch.nn.functional.pad(volume, (0, size) * 3))
    others = group[1:]
    matrices, displacements = [], []
    for operator in others[:: max(1, len(others) // CENTRE_OPERATORS)][:CENTRE_OPERATORS]:
        turn = frame.mT @ operator @ frame
        copy = torch.fft.rfftn(torch.nn.functional.pad(rotated(volume, turn), (0, size) * 3))
        product = torch.fft.irfftn(spectrum * copy.conj(), s=(2 * size,) * 3)
        peak = np.unravel_index(int(product.argmax()), product.shape)[::-1]
        moved = [index - 2 * size if index >= size else index for index in peak]
        matrices.append(torch.eye(3).to(volume) - turn)
        displacements.append(volume.new_tensor(moved))
    # along the axis of a Cn every 1 - g is zero: peaks are read to a voxel, and their error must not be divided by
    # rounding
    solution = torch.linalg.pinv(torch.cat(matrices), rtol=0.05) @ torch.cat(displacements)
    along = frame.mT @ group.mean(0) @ frame
    return solution + along @ (centre_offset(volume[None])[0] - solution)


def _refined(
    volume: Float[Tensor, "m m m"],
    frame: Float[Tensor, "3 3"],
    centre: Float[Tensor, " 3"],
    group: Float[Tensor, "g 3 3"],
    operators: Float[Tensor, "o 3 3"],
    spheres: Float[Tensor, "r d 3"],
) -> SymmetryAxes:
    """Frame and centre nearby that fit best (Nelder and Mead); the centre does not move along the axis of a Cn."""
    across = torch.eye(3).to(volume) - group.mean(0)

    def moved(parameters: np.ndarray) -> tuple[Tensor, Tensor]:
        turn, step = torch.from_numpy(parameters).to(volume).split(3)
        new = rotvec_to_matrix(math.radians(ANGLE_DEG) * turn) @ frame
        return new, centre + STEP * (new.mT @ across @ step)

    def misfit(parameters: np.ndarray) -> float:
        new, place = moved(parameters)
        return -float(_scores(volume, new[None], place[None], operators, spheres, structure=True))

    simplex = np.vstack([np.zeros(6), np.eye(6)])
    options = {"initial_simplex": simplex, "xatol": 0.02, "fatol": 1e-4, "maxfev": EVALUATIONS}
    minimum = minimize(misfit, np.zeros(6), method="Nelder-Mead", options=options)
    return SymmetryAxes(*moved(minimum.x), math.nan, -float(minimum.fun))
