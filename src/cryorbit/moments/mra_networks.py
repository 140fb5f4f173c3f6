"""Moments of one data set matched by a pair of encoders: their outputs as a start, their weights as the unknown.

An encoder of the signal and one of the density each know their output up to a shift of its own, so that the outputs are
first moved together until they match the moments best (Paul 2024, section 2.4.1). Then the weights of both networks are
refined to match the moments (equation 2.15).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from cryorbit.imaging.windowed_shifts import WindowedShifts
from cryorbit.moments.losses import kam_loss
from cryorbit.moments.mra import shift_moments
from cryorbit.moments.pair import Moments
from cryorbit.moments.rates import cosine_rate, set_rate


@dataclass(frozen=True, slots=True)
class Outcome:
    """Signals, densities and the sum of the moments' relative errors, of a batch of data sets."""

    signals: Float[Tensor, "b n"]
    densities: Float[Tensor, "b n"]
    losses: Float[Tensor, " b"]

    def detached(self) -> Outcome:
        """The same without its history."""
        return Outcome(self.signals.detach(), self.densities.detach(), self.losses.detach())


@dataclass(frozen=True, slots=True)
class EncoderPair:
    """The encoders of signal and density."""

    signal: nn.Module
    density: nn.Module

    def __call__(self, moments: Moments, turns: Tensor | None = None) -> Outcome:
        """Outputs for a batch of moments; signals are moved by ``turns``, or to where they match best."""
        signals, densities = self.signal(moments), self.density(moments)
        if turns is None:
            turns = best_turns(signals.detach(), densities.detach(), moments)
        size = signals.shape[-1]
        index = (torch.arange(size, device=signals.device) - turns[:, None]) % size
        signals = signals.gather(1, index)
        shifts = WindowedShifts.of(size, size, signals)
        return Outcome(signals, densities, kam_loss(shift_moments(signals[:, None], densities, shifts), moments))


def best_turns(signals: Float[Tensor, "b n"], densities: Float[Tensor, "b n"], moments: Moments) -> Int[Tensor, " b"]:
    """Samples by which signals must be moved to match the moments best with these densities."""
    size = signals.shape[-1]
    shifts = WindowedShifts.of(size, size, signals)
    turned = torch.stack([signals.roll(by, -1) for by in range(size)])
    given = Moments(moments.first.expand(size, -1, -1), moments.second.expand(size, -1, -1, -1))
    return kam_loss(shift_moments(turned[:, :, None], densities.expand_as(turned), shifts), given).argmin(0)


def refine(pair: EncoderPair, moments: Moments, steps: int, rates: tuple[float, float]) -> Iterator[Outcome]:
    """Match the moments of one data set by the weights of both networks, which are changed in place.

    Parameters
    ----------
    pair
        Networks, trained or not.
    moments
        A batch of one.
    steps
        Steps of Adam.
    rates
        Learning rates of the first and the last step, joined by half a cosine.

    Yields
    ------
    The outcome before every step, and the last.
    """
    weights = [*pair.signal.parameters(), *pair.density.parameters()]
    optimiser = torch.optim.Adam(weights)
    with torch.no_grad():
        turns = best_turns(pair.signal(moments), pair.density(moments), moments)
    for step in range(steps):
        set_rate(optimiser, cosine_rate(*rates, step / max(1, steps - 1)))
        outcome = pair(moments, turns)
        yield outcome.detached()
        optimiser.zero_grad()
        outcome.losses.sum().backward()
        optimiser.step()
    with torch.no_grad():
        yield pair(moments, turns)
