"""Sharpening of a map: weights for its noise, a B-factor for its fall-off, and a low-pass filter.

Amplitudes fall as ``exp(-B / (4 d^2))`` times those of the particle itself; the slope of the logarithm of their ratio
against ``1 / d^2`` (Guinier plot) gives B (Rosenthal & Henderson 2003). B-factors are written as RELION writes them:
negative ones sharpen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.evaluation.protein_spectrum import DEPARTURE, protein_log_amplitude
from cryorbit.evaluation.radial_filter import apply_gain, low_pass
from cryorbit.fourier.shells import shell_means

FIT_FROM_A = 10.0
"""Resolution at which a fit begins, A: at coarser ones the form of the particle decides, not its fading (RELION's)."""
FIT_TO_NYQUIST = 0.85
"""Part of the Nyquist frequency at which a fit ends at the latest: beyond it, interpolation and filters of whoever
sampled the images make amplitudes fall, and no B-factor undoes that."""
FEWEST_SHELLS = 4
"""A line and the scatter about it need so many."""
NO_SIGNAL = 1e-4
"""Correlation below which a map has no weight, nor in any later shell (RELION's value)."""


@dataclass(frozen=True, slots=True)
class GuinierFit:
    """A B-factor fitted to the logarithm of amplitudes against ``1 / d^2``.

    Attributes
    ----------
    inverse_square
        ``1 / d^2`` of each shell, 1/A^2.
    log_amplitude
        Logarithm of the mean amplitude of each shell after weighting; -inf where the weight is 0.
    fitted
        The same of a protein that fades with this B-factor.
    b_factor
        B-factor that undoes the fall-off, A^2; negative if amplitudes fall.
    error
        Its standard error, A^2: of the scatter of the shells, and of what proteins' own amplitudes depart from each
        other over the range of the fit, which is the larger one by far when the range is short.
    from_A, to_A
        Resolutions between which it was fitted.
    """

    inverse_square: Float[Tensor, " s"]
    log_amplitude: Float[Tensor, " s"]
    fitted: Float[Tensor, " s"]
    b_factor: float
    error: float
    from_A: float  # noqa: N815 (units belong to the name)
    to_A: float  # noqa: N815

    @property
    def sure(self) -> float:
        """The part of the B-factor that is beyond its error, A^2, at most 0: sharpening by it overdoes nothing."""
        return min(self.b_factor + self.error, 0.0)


def signal_weights(correlation: Float[Tensor, " s"]) -> Float[Tensor, " s"]:
    """Weight ``sqrt(2 F / (1 + F))`` of each shell of a map whose half-maps correlate as F.

    It is the correlation of the map with the truth, and takes the noise's share off the amplitudes. From the first
    shell with F < 1e-4 on the weights are 0. Shell 0 has weight 1.
    """
    known = torch.cumprod((correlation >= NO_SIGNAL).to(correlation)[1:], 0)
    positive = correlation.clamp(0, 1)
    weights = torch.sqrt(2 * positive / (1 + positive))
    return torch.cat([torch.ones_like(weights[:1]), weights[1:] * known])


def fit_b_factor(
    volume: Float[Tensor, "n n n"], weights: Float[Tensor, " s"], pixel_size: float, resolution_A: float
) -> GuinierFit | None:
    """Fit the fall-off of a map from 10 A to its resolution, or 0.85 of Nyquist; None with fewer than 4 shells.

    Each shell counts by its weight squared, the share of its power that is signal.

    Parameters
    ----------
    volume
        Mean of the half-maps, unfiltered, inside the mask for which the weights hold.
    weights
        Gains of the shells (``signal_weights``).
    pixel_size
        A.
    resolution_A
        Where the fit ends, unless that is nearer to Nyquist.
    """
    box, finest = volume.shape[-1], max(resolution_A, 2 * pixel_size / FIT_TO_NYQUIST)
    frequency = torch.arange(box // 2 + 1).double() / (box * pixel_size)
    gains = weights.double().cpu()
    logarithm, square = torch.log(_mean_amplitudes(volume).cpu() * gains), frequency**2
    used = (frequency >= 1 / FIT_FROM_A) & (frequency <= 1 / finest) & (gains > 0)
    if int(used.sum()) < FEWEST_SHELLS:
        return None
    protein = protein_log_amplitude(frequency)
    slope, intercept, scatter = _weighted_line(square[used], (logarithm - protein)[used], gains[used].square())
    span = float(square[used][-1] - square[used][0])
    error = 4 * math.hypot(scatter, DEPARTURE / span)
    fitted = intercept + slope * square + protein
    return GuinierFit(square, logarithm, fitted, 4 * slope, error, FIT_FROM_A, finest)


def sharpen(
    volume: Float[Tensor, "n n n"],
    weights: Float[Tensor, " s"],
    b_factor: float,
    pixel_size: float,
    resolution_A: float,
) -> Float[Tensor, "n n n"]:
    """The map weighted shell by shell, times ``exp(-B / (4 d^2))``, low-passed at ``resolution_A``."""
    box = volume.shape[-1]
    frequency = torch.arange(box // 2 + 1).double() / (box * pixel_size)
    gain = weights.double().cpu() * torch.exp(-0.25 * b_factor * frequency**2)
    return apply_gain(volume, gain * low_pass(box, pixel_size, resolution_A))


def _mean_amplitudes(volume: Float[Tensor, "n n n"]) -> Float[Tensor, " s"]:
    """Mean absolute value of the transform in shells 0 ... n / 2."""
    return shell_means(torch.fft.rfftn(volume).abs())


def _weighted_line(
    x: Float[Tensor, " u"], y: Float[Tensor, " u"], weight: Float[Tensor, " u"]
) -> tuple[float, float, float]:
    """Slope and intercept of a weighted least-squares line, and the standard error of the slope by its scatter."""
    total = weight.sum()
    centre, level = (weight * x).sum() / total, (weight * y).sum() / total
    spread = (weight * (x - centre).square()).sum()
    slope = (weight * (x - centre) * (y - level)).sum() / spread
    residual = (weight * (y - level - slope * (x - centre)).square()).sum() / (len(x) - 2)
    return float(slope), float(level - slope * centre), float((residual / spread).sqrt())
