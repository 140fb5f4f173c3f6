"""Exhaustive search for the rigid motions that best superpose one map on another, at low resolution.

Every rotation of a grid and both hands are tried, all displacements at once by a Fourier cross-correlation.
Coefficients are whitened by shell and weighted by 1 / |k|, so that shell ``s`` counts as ``s``: a flat weight would
drown maps that agree only at low resolution in the many coefficients of the outer shells, the natural spectrum
would let the first shells decide alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from cryorbit.core.chunks import chunks
from cryorbit.evaluation.spectrum import (
    HalfBall,
    OversampledSpectrum,
    coefficients,
    half_ball,
    interpolate,
    oversampled_spectrum,
)
from cryorbit.fourier.shells import shell_sums
from cryorbit.geometry.rotations import angular_distance
from cryorbit.geometry.so3_grid import hopf_grid, neighbourhood, spacing_deg

GRID_ORDER = 2
"""Order of the grid of rotations: 4608 of them, 15 degrees apart."""

GRID_RADIUS = 8
"""Fourier radius of the search on the grid; 15 degrees resolve no more."""

FINE_RADIUS = 11
"""Fourier radius of the search around the best rotations of the grid."""

KEPT_PER_HAND = 10
"""Distinct rotations of either hand that are followed to a finer grid."""

SHIFT_REACH = 0.3
"""Longest displacement that is tried, as a fraction of the box."""

_CHUNK = 512
"""Rotations at once."""


@dataclass(frozen=True, slots=True)
class Motions:
    """Rigid motions: inversion through the centre if ``inverted``, then rotation, then displacement.

    Attributes
    ----------
    rotations
        Act on ``(x, y, z)``.
    shifts
        ``(x, y, z)`` as fractions of the box.
    inverted
        Whether the map is inverted, ``x -> -x``, first.
    score
        Weighted mean of the shell correlations.
    """

    rotations: Float[Tensor, "m 3 3"]
    shifts: Float[Tensor, "m 3"]
    inverted: Bool[Tensor, " m"]
    score: Float[Tensor, " m"]

    def __getitem__(self, index: Tensor) -> Motions:
        """The motions at ``index``."""
        return Motions(self.rotations[index], self.shifts[index], self.inverted[index], self.score[index])


def joined(parts: Sequence[Motions]) -> Motions:
    """All motions of ``parts`` in one."""
    return Motions(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Motions)))


def search_motions(moving: Float[Tensor, "n n n"], reference: Float[Tensor, "n n n"]) -> Motions:
    """The most promising rigid motions of either hand, right to about five degrees.

    Parameters
    ----------
    moving, reference
        Maps of one box, with the background at zero.
    """
    spectrum = oversampled_spectrum(moving)
    largest = moving.shape[-1] // 2 - 1
    spacing = spacing_deg(GRID_ORDER)
    motions = _score(spectrum, moving, reference, hopf_grid(GRID_ORDER).to(moving), min(GRID_RADIUS, largest))
    motions = _distinct(motions, spacing, KEPT_PER_HAND)
    finer = neighbourhood(motions.rotations, spacing / 2, 1).flatten(0, 1)
    motions = _score(spectrum, moving, reference, finer, min(FINE_RADIUS, largest))
    return _distinct(motions, spacing / 2, KEPT_PER_HAND)


def _score(
    spectrum: OversampledSpectrum,
    moving: Float[Tensor, "n n n"],
    reference: Float[Tensor, "n n n"],
    rotations: Float[Tensor, "r 3 3"],
    radius: int,
) -> Motions:
    """Both hands of every rotation, each with its best displacement, scored up to ``radius`` Fourier pixels.

    For a rotated transform ``a`` and ``z = target exp(2 pi i k . t)`` the hands score ``Re conj(a) z`` and
    ``Re a z``: sum and difference of two real matrix products over all displacements ``t``.
    """
    ball = half_ball(radius, moving)
    shifts = _shift_lattice(radius).to(moving)
    target = _weighted_target(moving, reference, ball)[:, None]
    shifted = target * torch.exp(2j * torch.pi * (ball.frequencies @ shifts.T))
    parts = []
    for part in chunks(len(rotations), _CHUNK):
        rotated = interpolate(spectrum, ball.frequencies @ rotations[part])
        real, imaginary = rotated.real @ shifted.real, rotated.imag @ shifted.imag
        parts.append(torch.stack([real + imaginary, real - imaginary]).max(-1))
    score = torch.cat([part.values for part in parts], 1).flatten()
    best = torch.cat([part.indices for part in parts], 1).flatten()
    inverted = torch.arange(2, device=moving.device).repeat_interleave(len(rotations)) == 1
    return Motions(rotations.repeat(2, 1, 1), shifts[best], inverted, score)


def _shift_lattice(radius: int) -> Float[Tensor, "t 3"]:
    """Displacements, fractions of the box, fine enough for coefficients up to ``radius`` Fourier pixels."""
    step = 1 / (2.5 * radius)
    reach = int(SHIFT_REACH / step)
    axis = torch.arange(-reach, reach + 1) * step
    lattice = torch.cartesian_prod(axis, axis, axis)
    return lattice[lattice.norm(dim=-1) <= SHIFT_REACH]


def _weighted_target(
    moving: Float[Tensor, "n n n"], reference: Float[Tensor, "n n n"], ball: HalfBall
) -> Complex[Tensor, " p"]:
    """Coefficients of the reference by which those of the moving map give the weighted mean shell correlation."""
    a, b = coefficients(moving, ball), coefficients(reference, ball)
    count = int(ball.shells.max()) + 1
    norms = shell_sums(torch.stack([a, b]).abs().square(), ball.shells, count).prod(0).sqrt()
    shell_weight = torch.arange(count).to(norms) / torch.arange(count).sum()
    # a shell that one of the maps lacks has no correlation
    return b * (shell_weight / norms.clamp(min=torch.finfo(norms.dtype).tiny))[ball.shells]


def _distinct(motions: Motions, spacing: float, per_hand: int) -> Motions:
    """The best motions of each hand that are further than ``spacing`` degrees from every better one."""
    kept: list[int] = []
    for hand in (False, True):
        open_score = torch.where(motions.inverted == hand, motions.score, -torch.inf)
        while len(kept) < per_hand * (1 + hand) and torch.isfinite(open_score).any():
            best = int(open_score.argmax())
            kept.append(best)
            near = angular_distance(motions.rotations, motions.rotations[best].expand_as(motions.rotations)) <= spacing
            open_score[near] = -torch.inf
    return motions[torch.tensor(kept, device=motions.score.device)]
