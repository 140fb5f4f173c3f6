"""Multireference alignment from its moments: spectral and random starts, each refined by least squares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.imaging.windowed_shifts import WindowedShifts
from cryorbit.moments.fit import Fit, Target, best_of, fit_gauss_newton
from cryorbit.moments.mra import shift_moments
from cryorbit.moments.pair import Moments
from cryorbit.moments.spectral import spectral_solution

LEAST_DENSITY = 0.1
"""Density a start has everywhere, parts of the uniform one: a softmax near zero has no slope to leave it."""


@dataclass(frozen=True, slots=True)
class MRASolution:
    """A signal and a density of shifts, and the fit they come from."""

    signal: Float[Tensor, "c n"]
    density: Float[Tensor, " n"]
    fit: Fit


@dataclass(frozen=True, slots=True)
class MRAProblem:
    """Which moments are to be inverted.

    Attributes
    ----------
    target
        The moments, and the scales of their differences.
    shifts
        The forward model.
    channels
        Rows of the signal: two for a complex one.
    """

    target: Target
    shifts: WindowedShifts
    channels: int = 1

    def moments(self, unknown: Float[Tensor, " p"]) -> Moments:
        """Moments of a signal and of the softmax of what stands below it."""
        rows = unknown.view(self.channels + 1, self.shifts.length)
        return shift_moments(rows[:-1], rows[-1].softmax(0), self.shifts)

    def residuals(self, unknown: Float[Tensor, " p"]) -> Float[Tensor, " m"]:
        """Differences from the target."""
        return self.target.residuals(self.moments(unknown))

    def refine(self, signal: Float[Tensor, "c n"], density: Float[Tensor, " n"], most: int = 200) -> MRASolution:
        """The least-squares fit that a start leads to."""
        floor = LEAST_DENSITY / len(density)
        logits = density.clamp_min(floor).log()
        fit = fit_gauss_newton(self.residuals, torch.cat([signal.flatten(), logits]), most)
        rows = fit.parameters.view(self.channels + 1, -1)
        return MRASolution(rows[:-1], rows[-1].softmax(0), fit)

    def solve(self, random_starts: int, generator: torch.Generator, least_power: float = 0.0) -> MRASolution:
        """The best fit from the spectral start, where the whole period is in view, and from random ones."""
        starts = [*self._spectral_starts(least_power), *self._random_starts(random_starts, generator)]
        refined = [self.refine(*start) for start in starts]
        best = best_of([each.fit for each in refined])
        return next(each for each in refined if each.fit is best)

    def _spectral_starts(self, least_power: float) -> Iterator[tuple[Tensor, Tensor]]:
        if self.channels == 1 and self.shifts.window == self.shifts.length:
            signal, density = spectral_solution(self.target.moments, least_power)
            yield signal[None], density

    def _random_starts(self, count: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        first, second = self.target.moments.first, self.target.moments.second
        size = (float(second.trace().clamp_min(0)) / (self.channels * self.shifts.window)) ** 0.5
        for _ in range(count):
            shape = (self.channels, self.shifts.length)
            drawn = torch.randn(shape, generator=generator, dtype=torch.float64).to(first)
            # a signal of the wrong sign is a minimum that fits hardly leave
            drawn = -drawn if drawn.sum() * first.sum() < 0 else drawn
            yield size * drawn, torch.full_like(drawn[0], 1 / self.shifts.length)
