"""What limits a resolution if it is not the particles: the size of the pixels, or how far the half-maps were made."""

from __future__ import annotations

from cryorbit.evaluation.corrected_fsc import HalfMapFSC

NEAR = 1.05
"""A resolution within this factor of the finest that can be had is limited by it."""


def on_limit(fsc: HalfMapFSC, holds_to_A: float | None) -> str | None:
    """A sentence on what limits the resolution of half-maps; None if their own signal does.

    Parameters
    ----------
    fsc
        Their correlations.
    holds_to_A
        Resolution to which they hold data, A. None: that of the last shell that holds any.
    """
    if fsc.resolution() > NEAR * fsc.finest_A:
        return None
    if fsc.last < len(fsc.frequency_per_A) - 2:
        finest = holds_to_A or fsc.finest_A
        return f"The half-maps hold data to {finest:.1f} Å only: what is finer was left out when they were made."
    nyquist = 1 / float(fsc.frequency_per_A[-1])
    return f"The pixels limit the resolution: they show nothing finer than {nyquist:.1f} Å (Nyquist)."
