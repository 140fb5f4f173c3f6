"""Fourier shell correlation of half-maps inside a mask, freed of what the mask itself contributes.

A mask correlates the half-maps beyond their true resolution. How much is measured on half-maps whose phases were
randomised beyond a shell and then masked, and taken off: ``(FSC_t - FSC_n) / (1 - FSC_n)`` (Chen et al. 2013).
Beyond the edge of a filter a masked map holds nothing that could be corrected: half-maps are taken to end there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.evaluation.filter_edge import FilterEdge, find_edge
from cryorbit.evaluation.fsc import THRESHOLD, FSCCurve, first_below, fourier_shell_correlation, resolution_at
from cryorbit.evaluation.phase_randomisation import randomise_phases

COARSEST = 3
"""Shells after shell 0 in which half-maps of one particle agree, whatever their resolution."""
RANDOMISED_BELOW = 0.8
"""Phases are randomised from the shell in which the unmasked correlation first falls below this (RELION's value)."""
LEAK = 2
"""Shells beyond that one in which a mask still carries over what was not randomised (RELION's value)."""
DRAWS = 3
"""Randomisations that are averaged."""
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
    last
        Last shell in which the half-maps hold data; n / 2 if they do everywhere. They do not beyond the edge of a
        filter, whatever noise fills the shells there.
    """

    frequency_per_A: Float[Tensor, " s"]  # noqa: N815 (units belong to the name)
    unmasked: Float[Tensor, " s"]
    masked: Float[Tensor, " s"]
    randomised: Float[Tensor, " s"]
    corrected: Float[Tensor, " s"]
    randomised_from: int
    last: int

    @property
    def finest_A(self) -> float:  # noqa: N802 (units belong to the name)
        """Resolution in A of the last shell: none can be finer."""
        return 1 / float(self.frequency_per_A[self.last])

    @property
    def unrelated(self) -> bool:
        """Whether the half-maps have nothing in common: they disagree in the coarsest shells already."""
        return max(first_below(curve, THRESHOLD) for curve in (self.unmasked, self.corrected)) <= COARSEST

    @property
    def inverted(self) -> bool:
        """Whether one half-map is the negative of the other: they disagree by their sign."""
        return self.unrelated and first_below(-self.unmasked, THRESHOLD) > COARSEST

    def resolution(self, threshold: float = THRESHOLD) -> float:
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


@dataclass(frozen=True, slots=True)
class HalfMapPair:
    """Two half-maps, and what does not depend on the mask that they are compared in; made by ``of``.

    Attributes
    ----------
    half1, half2
        Half-maps, unfiltered and unmasked.
    frequency_per_A
        Spatial frequency of each shell, 1/A.
    unmasked
        Their correlation as they are, 0 beyond ``last``.
    last
        Last shell in which they can hold data.
    edge
        Where their mean falls steeply; None where it falls off evenly.
    """

    half1: Float[Tensor, "n n n"]
    half2: Float[Tensor, "n n n"]
    frequency_per_A: Float[Tensor, " s"]  # noqa: N815 (units belong to the name)
    unmasked: Float[Tensor, " s"]
    last: int
    edge: FilterEdge | None

    @classmethod
    def of(
        cls, half1: Float[Tensor, "n n n"], half2: Float[Tensor, "n n n"], pixel_size: float, last: int | None = None
    ) -> HalfMapPair:
        """Compare half-maps of ``pixel_size`` A without a mask; arguments as for `corrected_fsc`."""
        box = half1.shape[-1]
        last = box // 2 if last is None else min(last, box // 2)
        unmasked = _without_beyond(fourier_shell_correlation(half1, half2), last)
        frequency = torch.arange(box // 2 + 1).double() / (box * pixel_size)
        return cls(half1, half2, frequency, unmasked, last, find_edge(0.5 * (half1 + half2), unmasked, last))

    @property
    def resolution_A(self) -> float:  # noqa: N802 (units belong to the name)
        """Resolution in A at which the correlation without a mask first falls below 0.143."""
        return resolution_at(FSCCurve(self.frequency_per_A, self.unmasked.cpu()), THRESHOLD)

    def within(self, mask: Float[Tensor, "n n n"], generator: torch.Generator) -> HalfMapFSC:
        """Correlations within a soft mask, and corrected for it; ``generator`` draws the random phases."""
        last = self.edge.end if self.edge is not None and self.edge.shows(mask) else self.last
        unmasked = _without_beyond(self.unmasked, last)
        masked = _without_beyond(fourier_shell_correlation(self.half1, self.half2, mask), last)
        first = first_below(unmasked, RANDOMISED_BELOW)
        randomised = masked
        if first <= last:
            randomised = _without_beyond(self._randomised(first, mask, generator), last)
            # phases are as they were there: nothing is to be taken off
            randomised[:first] = masked[:first]
        unmasked, masked, randomised, corrected = (
            curve.cpu() for curve in (unmasked, masked, randomised, _without_bias(masked, randomised, first + LEAK))
        )
        return HalfMapFSC(self.frequency_per_A, unmasked, masked, randomised, corrected, first, last)

    def _randomised(self, first: int, mask: Float[Tensor, "n n n"], generator: torch.Generator) -> Float[Tensor, " s"]:
        """Correlation within the mask of half-maps with random phases from a shell on."""
        curves = []
        for _ in range(DRAWS):
            random1, random2 = (randomise_phases(half, first, generator) for half in (self.half1, self.half2))
            curves.append(fourier_shell_correlation(random1, random2, mask))
        return torch.stack(curves).mean(0)


def corrected_fsc(
    half1: Float[Tensor, "n n n"],
    half2: Float[Tensor, "n n n"],
    pixel_size: float,
    mask: Float[Tensor, "n n n"],
    generator: torch.Generator,
    last: int | None = None,
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
    last
        Last shell in which the half-maps hold data; all correlations beyond it are 0. Default: that of the box.
    """
    return HalfMapPair.of(half1, half2, pixel_size, last).within(mask, generator)


def _without_beyond(correlation: Float[Tensor, " s"], last: int) -> Float[Tensor, " s"]:
    """The correlation, 0 beyond a shell."""
    return correlation.masked_fill(torch.arange(len(correlation), device=correlation.device) > last, 0.0)


def _without_bias(masked: Float[Tensor, " s"], bias: Float[Tensor, " s"], first: int) -> Float[Tensor, " s"]:
    """``(masked - bias) / (1 - bias)`` from shell ``first`` on, at least 0 where the bias is the larger one."""
    corrected = torch.where(bias < masked, (masked - bias) / (1 - bias).clamp_min(1e-6), 0.0)
    return torch.where(torch.arange(len(masked), device=masked.device) < first, masked, corrected)
