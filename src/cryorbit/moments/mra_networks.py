"""Moments of one data set matched by a pair of encoders: their outputs as a start, their weights as the unknown.

An encoder of the signal and one of the density each know their output up to a shift of its own, so that the outputs are
first moved together until they match the moments best (Paul 2024, section 2.4.1). Then the weights of both networks are
refined to match the moments (equation 2.15).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cryorbit.imaging.windowed_shifts import WindowedShifts
from cryorbit.moments.learner import Learner
from cryorbit.moments.losses import kam_loss
from cryorbit.moments.mra import shift_moments
from cryorbit.moments.pair import Moments
from cryorbit.moments.rates import cosine_rate

TURNS_NEAR = 17
"""Turns that are tried within half a sample of the best whole one."""


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
        signals = _moved(signals, turns)
        shifts = WindowedShifts.of(size, size, signals)
        return Outcome(signals, densities, kam_loss(shift_moments(signals[:, None], densities, shifts), moments))


def best_turns(signals: Float[Tensor, "b n"], densities: Float[Tensor, "b n"], moments: Moments) -> Float[Tensor, " b"]:
    """Samples by which signals must be moved to match the moments best with these densities, to parts of a sample."""
    size = signals.shape[-1]
    coarse = _best_of(torch.arange(float(size)).to(signals).expand(len(signals), -1), signals, densities, moments)
    near = torch.linspace(-0.5, 0.5, TURNS_NEAR).to(signals)
    return _best_of(coarse[:, None] + near, signals, densities, moments)


def _best_of(
    turns: Float[Tensor, "b t"], signals: Float[Tensor, "b n"], densities: Float[Tensor, "b n"], moments: Moments
) -> Float[Tensor, " b"]:
    """Of the turns that are tried for each signal, those that match the moments best."""
    shifts = WindowedShifts.of(signals.shape[-1], signals.shape[-1], signals)
    losses = [
        kam_loss(shift_moments(_moved(signals, turn)[:, None], densities, shifts), moments) for turn in turns.unbind(1)
    ]
    return turns.gather(1, torch.stack(losses, 1).argmin(1, keepdim=True))[:, 0]


def _moved(signals: Float[Tensor, "b n"], turns: Float[Tensor, " b"]) -> Float[Tensor, "b n"]:
    """Signals moved by so many samples on the circle, between samples by trigonometric interpolation."""
    size = signals.shape[-1]
    frequencies = torch.arange(size // 2 + 1).to(signals)
    phases = torch.exp(-2j * torch.pi / size * turns[:, None] * frequencies)
    return torch.fft.irfft(torch.fft.rfft(signals) * phases, n=size)


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
    learner = Learner.begin(nn.ModuleList([pair.signal, pair.density]))
    with torch.no_grad():
        turns = best_turns(pair.signal(moments), pair.density(moments), moments)
    for step in range(steps):
        outcome = pair(moments, turns)
        yield outcome.detached()
        learner.descend(outcome.losses.sum(), cosine_rate(*rates, step / max(1, steps - 1)))
    with torch.no_grad():
        yield pair(moments, turns)
