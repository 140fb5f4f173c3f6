"""The spectral method of multireference alignment: signal and density of shifts from one eigenvector.

A signal made flat in its power spectrum is orthogonal to its own shifts, so these are the eigenvectors of the second
moment made flat the same way, and the density gives the eigenvalues (Abbe et al. 2018; Paul 2024, equation 2.4). The
power spectrum is the diagonal of the moment's transform. Needs the whole period in view.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from scipy.optimize import nnls
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.imaging.windowed_shifts import WindowedShifts
from cryorbit.moments.mra import shifted_windows
from cryorbit.moments.pair import Moments, spectral_moments

LEAST_POWER = 1e-10
"""Power, parts of the largest, below which a frequency is not made flat: there it is rounding."""
LEAST_EIGENVALUE = 1e-9
"""Eigenvalue of the normal matrix, parts of the largest, that smaller ones are raised to, so that the solver ends."""
NNLS_STEPS = 100
"""Steps of the solver for each unknown."""


def spectral_solution(moments: Moments, least_power: float = 0.0) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Signal and density that match the moments best among those that one eigenvector gives, of either sign.

    Parameters
    ----------
    moments
        Of a real signal of n samples seen whole.
    least_power
        Frequencies of no more power are left out: what noise alone may give.

    Raises
    ------
    InputError
        No frequency has more power than that.
    """
    power = spectral_moments(moments)[1].diagonal().real
    seen = power > max(least_power, LEAST_POWER * float(power.max()))
    if not seen.any():
        fix = "take more observations, or check the noise variance"
        raise InputError("no frequency rises above the noise", fix=fix)
    amplitude = torch.where(seen, power, 0.0).sqrt()
    gains = torch.where(seen, 1 / amplitude, 0.0)
    flat = _filtered(_filtered(moments.second, gains).mT, gains)
    turns = torch.linalg.eigh(0.5 * (flat + flat.mT))[1].mT[-int(seen.sum()) :]
    # amplitudes are known, so that eigenvectors have to give the phases alone
    signals = torch.fft.ifft(torch.sgn(torch.fft.fft(turns)) * amplitude, norm="ortho").real
    shifts = WindowedShifts.of(len(power), len(power), signals)
    candidates = [(signal, *_with_density(signal, moments, shifts)) for signal in torch.cat([signals, -signals])]
    signal, density, _ = min(candidates, key=lambda each: each[2])
    return signal, density


def _with_density(
    signal: Float[Tensor, " n"], moments: Moments, shifts: WindowedShifts
) -> tuple[Float[Tensor, " n"], float]:
    """The density that matches the moments of this signal best, and the misfit of relative errors, less 2."""
    copies = shifted_windows(signal[None], shifts)
    squares = torch.stack([moments.first.square().sum(), moments.second.square().sum()])
    inner = copies @ copies.mT
    normal = inner / squares[0] + inner.square() / squares[1]
    linear = copies @ moments.first / squares[0] + ((copies @ moments.second) * copies).sum(1) / squares[1]
    # |A x - b|^2 with A^T A = normal and A^T b = linear, through a factor of the normal matrix
    values, vectors = torch.linalg.eigh(normal)
    root = values.clamp_min(LEAST_EIGENVALUE * float(values[-1])).sqrt()
    factor, right = root[:, None] * vectors.mT, (vectors.mT @ linear) / root
    weights, _ = nnls(factor.cpu().numpy(), right.cpu().numpy(), maxiter=NNLS_STEPS * len(right))
    density = torch.from_numpy(weights).to(signal)
    misfit = float(density @ normal @ density - 2 * density @ linear)
    # a signal of the wrong sign may have no density at all
    return density / density.sum() if density.any() else torch.full_like(density, 1 / len(density)), misfit


def _filtered(rows: Float[Tensor, "*b n"], gains: Float[Tensor, " n"]) -> Float[Tensor, "*b n"]:
    """Periodic signals with the coefficients of their transforms multiplied by symmetric gains."""
    return torch.fft.ifft(torch.fft.fft(rows) * gains).real
