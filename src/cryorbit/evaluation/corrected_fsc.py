"""Fourier shell correlation of half-maps inside a mask, freed of what the mask itself contributes.

A mask correlates the half-maps beyond their true resolution. How much is measured on half-maps whose phases were
randomised beyond a shell and then masked, and taken off: ``(FSC_t - FSC_n) / (1 - FSC_n)`` (Chen et al. 2013).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.evaluation.fsc import FSCCurve, fourier_shell_correlation, resolution_at
from cryorbit.evaluation.phase_randomisation import randomise_phases

RANDOMISED_BELOW = 0.8
"""Phases are randomised from the shell in which the unmasked correlation first falls below this."""
LEAK = 2
"""Shells beyond that one in which a mask still carries over what was not randomised."""
LARGEST_BIAS = 0.05
"""Correlation of randomised half-maps at the resolution above which a mask is too tight."""
NEIGHBOURS = 2
"""Shells on either side over which that correlation is averaged: single shells are noisy."""


@dataclass(frozen=True, slots=True)
class HalfMapFSC:
    """Correlations of two half-maps in shells 0 ... n / 2.

    Attributes
    ----------
    frequency_per_A
        Spatial frequency of each shell, 1/A.
    unmasked, masked
        Of the maps as they are, and of both multiplied by the mask.
    randomised
        Of the masked maps after their phases were randomised; equal to ``masked`` before ``randomised_from``.
    corrected
        ``masked`` freed of the mask's contribution.
    randomised_from
        First shell with random phases; n / 2 + 1 if the maps agree everywhere.
    """

    frequency_per_A: Float[Tensor, " s"]  # noqa: N815 (units belong to the name)
    unmasked: Float[Tensor, " s"]
    masked: Float[Tensor, " s"]
    randomised: Float[Tensor, " s"]
    corrected: Float[Tensor, " s"]
    randomised_from: int

    def resolution(self, threshold: float = 0.143) -> float:
        """Resolution in A at which the corrected correlation first falls below ``threshold``."""
        return resolution_at(FSCCurve(self.frequency_per_A, self.corrected), threshold)

    @property
    def mask_bias(self) -> float:
        """Correlation that the mask alone makes at the resolution (0.143); 0 if no phases are random there."""
        shell = round(1 / self.resolution() / float(self.frequency_per_A[1]))
        window = slice(max(shell - NEIGHBOURS, self.randomised_from + LEAK), shell + NEIGHBOURS + 1)
        values = self.randomised[window]
        return float(values.mean()) if len(values) else 0.0

    @property
    def mask_too_tight(self) -> bool:
        """Whether the mask makes so much correlation that the resolution should not be believed."""
        return self.mask_bias > LARGEST_BIAS


def corrected_fsc(
    half1: Float[Tensor, "n n n"],
    half2: Float[Tensor, "n n n"],
    pixel_size: float,
    mask: Float[Tensor, "n n n"],
    generator: torch.Generator,
    draws: int = 3,
) -> HalfMapFSC:
    """Correlations of two half-maps without and with a mask, and corrected for the mask.

    Parameters
    ----------
    half1, half2
        Half-maps, unfiltered and unmasked.
    pixel_size
        A.
    mask
        Soft mask in [0, 1].
    generator
        Source of the random phases.
    draws
        Randomisations that are averaged.
    """
    unmasked = fourier_shell_correlation(half1, half2)
    masked = fourier_shell_correlation(half1, half2, mask)
    first = _first_below(unmasked, RANDOMISED_BELOW)
    randomised = masked
    if first < len(masked):
        curves = []
        for _ in range(draws):
            random1, random2 = (randomise_phases(half, first, generator) for half in (half1, half2))
            curves.append(fourier_shell_correlation(random1, random2, mask))
        randomised = torch.stack(curves).mean(0)
        randomised[:first] = masked[:first]
    frequency = torch.arange(len(masked)).double() / (half1.shape[-1] * pixel_size)
    corrected = _without_bias(masked, randomised, first + LEAK)
    return HalfMapFSC(frequency, unmasked.cpu(), masked.cpu(), randomised.cpu(), corrected.cpu(), first)


def _first_below(correlation: Float[Tensor, " s"], threshold: float) -> int:
    """First shell after shell 0 in which the correlation is below the threshold; the number of shells if none is."""
    below = (correlation[1:] < threshold).nonzero().flatten()
    return int(below[0]) + 1 if len(below) else len(correlation)


def _without_bias(masked: Float[Tensor, " s"], bias: Float[Tensor, " s"], first: int) -> Float[Tensor, " s"]:
    """``(masked - bias) / (1 - bias)`` from shell ``first`` on, at least 0 where the bias is the larger one."""
    corrected = torch.where(bias < masked, (masked - bias) / (1 - bias).clamp_min(1e-6), 0.0)
    return torch.where(torch.arange(len(masked), device=masked.device) < first, masked, corrected)
