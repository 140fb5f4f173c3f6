"""Sharpening of a map: weights for its noise, a B-factor for its fall-off, and a low-pass filter.

Amplitudes fall as ``exp(-B / (4 d^2))``; the slope of their logarithm against ``1 / d^2`` (Guinier plot) gives B
(Rosenthal & Henderson 2003). B-factors are written as RELION writes them: negative ones sharpen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.evaluation.radial_filter import apply_gain, low_pass
from cryorbit.fourier.shells import half_spectrum_weights, shell_indices, shell_sums

FIT_FROM_A = (10.0, 15.0)
"""Resolutions at which a fit may begin, A: the first one, or the second if the first leaves too few shells."""
FEWEST_SHELLS = 4
NO_SIGNAL = 1e-4
"""Correlation below which a map has no weight, nor in any later shell."""


@dataclass(frozen=True, slots=True)
class GuinierFit:
    """A straight line through the logarithm of amplitudes against ``1 / d^2``.

    Attributes
    ----------
    inverse_square
        ``1 / d^2`` of each shell, 1/A^2.
    log_amplitude
        Logarithm of the mean amplitude of each shell after weighting; -inf where the weight is 0.
    slope, intercept
        Of the line.
    from_A, to_A
        Resolutions between which it was fitted.
    """

    inverse_square: Float[Tensor, " s"]
    log_amplitude: Float[Tensor, " s"]
    slope: float
    intercept: float
    from_A: float  # noqa: N815 (units belong to the name)
    to_A: float  # noqa: N815

    @property
    def b_factor(self) -> float:
        """B-factor that undoes the fall-off, A^2; negative if amplitudes fall."""
        return 4.0 * self.slope


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
    """Fit the fall-off of a map from 10 A (15 A if need be) to its resolution; None with fewer than 4 shells.

    Parameters
    ----------
    volume
        Mean of the half-maps, unfiltered, inside the mask for which the weights hold.
    weights
        Gains of the shells (``signal_weights``).
    pixel_size
        A.
    resolution_A
        Where the fit ends.
    """
    box = volume.shape[-1]
    frequency = torch.arange(box // 2 + 1).double() / (box * pixel_size)
    amplitude = _mean_amplitudes(volume).cpu() * weights.double().cpu()
    for start in FIT_FROM_A:
        used = (frequency >= 1 / start) & (frequency <= 1 / resolution_A) & (amplitude > 0)
        if int(used.sum()) >= FEWEST_SHELLS:
            square, logarithm = frequency**2, torch.log(amplitude)
            slope, intercept = np.polyfit(square[used].numpy(), logarithm[used].numpy(), 1)
            return GuinierFit(square, logarithm, float(slope), float(intercept), start, resolution_A)
    return None


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
    box = volume.shape[-1]
    shells = shell_indices(box).to(volume.device).flatten()
    counts = half_spectrum_weights(box).to(volume).expand(box, box, -1)
    sums = shell_sums(
        torch.stack([counts * torch.fft.rfftn(volume).abs(), counts]).flatten(1).double(), shells, box // 2 + 1
    )
    return sums[0] / sums[1]
