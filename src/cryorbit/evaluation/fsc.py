"""Fourier shell correlation of two maps and the resolution read from it.

``FSC(s) = Re sum_s A conj(B) / sqrt(sum_s |A|^2 sum_s |B|^2)`` over shells one Fourier pixel wide
(Harauz & van Heel 1986).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.fourier.shells import half_spectrum_weights, shell_indices, shell_sums

THRESHOLD = 0.143
"""Correlation of half-maps at which their mean correlates by 0.5 with the truth (Rosenthal & Henderson 2003)."""


@dataclass(frozen=True, slots=True)
class FSCCurve:
    """A Fourier shell correlation over spatial frequency.

    Attributes
    ----------
    frequency_per_A
        Spatial frequency of each shell, 1/A, from 0 to Nyquist.
    correlation
        Correlation of each shell, in [-1, 1].
    """

    frequency_per_A: Float[Tensor, " s"]  # noqa: N815
    correlation: Float[Tensor, " s"]


def fourier_shell_correlation(
    a: Float[Tensor, "n n n"], b: Float[Tensor, "n n n"], mask: Float[Tensor, "n n n"] | None = None
) -> Float[Tensor, " s"]:
    """Correlation of two real maps in shells 0 ... n / 2; a shell in which either map is zero has correlation 0.

    Parameters
    ----------
    a, b
        Maps ``[z, y, x]`` of one box.
    mask
        Soft mask by which both maps are multiplied first.
    """
    if mask is not None:
        a, b = a * mask, b * mask
    box = a.shape[-1]
    shells = shell_indices(box).to(a.device).flatten()
    weights = half_spectrum_weights(box).to(a)
    a_k, b_k = torch.fft.rfftn(a), torch.fft.rfftn(b)
    products = torch.stack([(a_k * b_k.conj()).real, a_k.abs().square(), b_k.abs().square()])
    cross, power_a, power_b = shell_sums((products * weights).flatten(1).double(), shells, box // 2 + 1)
    power = torch.sqrt(power_a * power_b)
    return torch.where(power > 0, cross / power, 0.0)


def fsc_curve(
    a: Float[Tensor, "n n n"],
    b: Float[Tensor, "n n n"],
    pixel_size: float,
    mask: Float[Tensor, "n n n"] | None = None,
) -> FSCCurve:
    """Fourier shell correlation of two maps of ``pixel_size`` A with its frequency axis."""
    correlation = fourier_shell_correlation(a, b, mask)
    return FSCCurve(torch.arange(len(correlation)).double() / (a.shape[-1] * pixel_size), correlation.cpu())


def first_below(correlation: Float[Tensor, " s"], threshold: float) -> int:
    """First shell after shell 0 in which a correlation is below a threshold; the number of shells if none is."""
    below = (correlation[1:] < threshold).nonzero().flatten()
    return int(below[0]) + 1 if len(below) else len(correlation)


def resolution_at(curve: FSCCurve, threshold: float) -> float:
    """Resolution in A at which the curve first falls below ``threshold``, interpolated linearly in frequency.

    A curve that never falls below has the resolution of its last shell; one that is below the threshold in the
    first shell already has the resolution of that shell, the length of the box. Shell 0 is only the mean grey
    value and does not count; nor do shells at the end that are exactly 0, as they are where there are no data.
    """
    filled = curve.correlation.nonzero().flatten()
    # shell 1 stays even where nothing correlates: there is a resolution to return
    end = max(2, int(filled[-1]) + 1) if len(filled) else 2
    frequency, correlation = curve.frequency_per_A[1:end], curve.correlation[1:end]
    below = (correlation < threshold).nonzero().flatten()
    if len(below) == 0:
        return 1.0 / float(frequency[-1])
    first = int(below[0])
    if first == 0:
        return 1.0 / float(frequency[0])
    before, after = float(correlation[first - 1]), float(correlation[first])
    fraction = (before - threshold) / (before - after)
    return 1.0 / float(torch.lerp(frequency[first - 1], frequency[first], fraction))
