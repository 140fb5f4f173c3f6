"""Moments of multireference alignment: a periodic signal under random circular shifts, seen through a window."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from cryorbit.imaging.windowed_shifts import WindowedShifts
from cryorbit.moments.analytic import slice_moments
from cryorbit.moments.pair import Moments


def shifted_windows(signal: Float[Tensor, "*b c n"], shifts: WindowedShifts) -> Float[Tensor, "*b n d"]:
    """Observations without noise, a row for each shift: channels one after another."""
    return signal[..., shifts.samples].movedim(-3, -2).flatten(-2)


def shift_moments(signal: Float[Tensor, "*b c n"], density: Float[Tensor, "*b n"], shifts: WindowedShifts) -> Moments:
    """Moments of a signal under shifts of this density (Paul 2024, equation 2.14, in samples)."""
    return slice_moments(shifted_windows(signal, shifts), density)


def moved(
    signal: Float[Tensor, "*c n"], density: Float[Tensor, "*b n"], by: int
) -> tuple[Float[Tensor, "*c n"], Float[Tensor, "*b n"]]:
    """Another pair with the same moments: the signal later by ``by`` samples, all shifts less by as many."""
    return signal.roll(by, -1), density.roll(-by, -1)
