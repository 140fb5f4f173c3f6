"""Continuous refinement of the rigid motion that superposes one map on another.

With the correlation ``F_s`` of shell ``s`` and ``n_s`` its coefficients, the score is the information, in nats, that
one of two Gaussian maps holds about the other, ``-sum_s n_s log(1 - F_s^2)``: the likelihood ratio maximised over
the unknown correlations. Shells of pure noise hardly count, whichever they are, and need not be known beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex, Float
from scipy.optimize import minimize
from torch import Tensor

from cryorbit.evaluation.rigid_search import Motions, joined
from cryorbit.evaluation.spectrum import (
    HalfBall,
    OversampledSpectrum,
    coefficients,
    half_ball,
    interpolate,
    oversampled_spectrum,
)
from cryorbit.fourier.shells import shell_sums
from cryorbit.geometry.rotations import rotvec_to_matrix

STAGES = ((12, 3), (18, 1), (32, 1))
"""Fourier radius of each stage and how many motions of each hand enter it."""

_HIGHEST_CORRELATION = 0.99
"""Interpolation leaves no more; it also keeps the score of two equal maps finite."""


def refine_motions(moving: Float[Tensor, "n n n"], reference: Float[Tensor, "n n n"], start: Motions) -> Motions:
    """The best motion of each hand after refinement at increasing resolution, best first.

    Parameters
    ----------
    moving, reference
        Maps of one box, with the background at zero.
    start
        Candidates; those of the highest score are followed.
    """
    spectrum = oversampled_spectrum(moving)
    motions = start
    for radius, kept in STAGES:
        pair = _pair(spectrum, reference, min(radius, moving.shape[-1] // 2 - 1))
        ranked = motions[motions.score.argsort(descending=True)]
        per_hand_indices = [(ranked.inverted == hand).nonzero()[:kept, 0] for hand in (False, True)]
        motions = joined([_refine(pair, ranked[index[None]]) for index in torch.cat(per_hand_indices)])
    return motions[motions.score.argsort(descending=True)]


@dataclass(frozen=True, slots=True)
class _Pair:
    """What the score needs of the two maps at one resolution."""

    spectrum: OversampledSpectrum
    ball: HalfBall
    reference: Complex[Tensor, " p"]
    counts: Float[Tensor, " s"]


def _pair(spectrum: OversampledSpectrum, reference: Float[Tensor, "n n n"], radius: int) -> _Pair:
    ball = half_ball(radius, reference)
    counts = torch.bincount(ball.shells).to(reference)
    return _Pair(spectrum, ball, coefficients(reference, ball), counts)


def _refine(pair: _Pair, motion: Motions) -> Motions:
    """The motion after maximising the information from it, by L-BFGS over rotation vector and displacement."""
    radius = len(pair.counts) - 1

    def moved(step: Float[Tensor, " 6"]) -> tuple[Tensor, Tensor]:
        # one unit of either is one Fourier pixel, or one radian of phase, at the edge of the ball
        rotation = rotvec_to_matrix(step[:3] / radius) @ motion.rotations[0]
        return rotation, motion.shifts[0] + step[3:] / (2 * torch.pi * radius)

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        step = torch.from_numpy(values).to(motion.shifts).requires_grad_()
        mean_information = _information(pair, *moved(step), bool(motion.inverted[0])) / pair.counts.sum()
        (gradient,) = torch.autograd.grad(-mean_information, step)
        return -float(mean_information.detach()), gradient.double().cpu().numpy()

    result = minimize(loss, np.zeros(6), jac=True, method="L-BFGS-B", options={"maxiter": 30, "ftol": 1e-7})
    rotation, shift = moved(torch.from_numpy(result.x).to(motion.shifts))
    score = motion.score.new_tensor([-result.fun]) * pair.counts.sum()
    return Motions(rotation[None], shift[None], motion.inverted, score)


def _information(
    pair: _Pair, rotation: Float[Tensor, "3 3"], shift: Float[Tensor, " 3"], inverted: bool
) -> Float[Tensor, ""]:
    """Information in nats shared by the reference and the moved map."""
    frequencies = pair.ball.frequencies
    read = interpolate(pair.spectrum, frequencies @ rotation)
    moved = (read.conj() if inverted else read) * torch.exp(-2j * torch.pi * (frequencies @ shift))
    products = torch.stack([(moved * pair.reference.conj()).real, moved.abs().square(), pair.reference.abs().square()])
    cross, power_moved, power_reference = shell_sums(products, pair.ball.shells, len(pair.counts))
    tiny = torch.finfo(products.dtype).tiny
    # the root has no slope at zero
    correlation = cross / torch.sqrt((power_moved * power_reference).clamp(min=tiny))
    # it is squared: a shell that disagrees by its sign must not count as agreement
    agreement = _HIGHEST_CORRELATION * correlation.clamp(min=0.0)
    return -(pair.counts * torch.log1p(-agreement.square())).sum()
