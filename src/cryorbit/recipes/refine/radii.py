"""How far out a refinement goes: where poses are scored, and where images are inserted."""

from __future__ import annotations

from cryorbit.recipes.refine.config import RefineConfig

INSERTED_BEYOND = 1.4
"""Images are inserted this much further out than they are scored, so that the half maps can show more."""

MINI_BATCH_PART = 0.85
"""Part of Nyquist that mini-batches go to: they carry a mean of W and gradients on the grid beside their sums, and up
to there take no more memory than the last pass."""


def largest_radius(config: RefineConfig, box: int, pixel_size: float) -> float:
    """Largest Fourier radius at which poses are scored."""
    nyquist = box / 2 - 1
    return nyquist if config.max_resolution is None else min(nyquist, box * pixel_size / config.max_resolution)


def inserted_radius(radius: float, box: int) -> float:
    """Fourier radius to which images are inserted that are scored to ``radius``."""
    return min(box / 2 - 1, INSERTED_BEYOND * radius + 4)


def mini_batch_radius(scored: float, radius: float, box: int) -> float:
    """Fourier radius that mini-batches, ``scored`` so far out by now, go to where passes would go to ``radius``."""
    return max(scored, min(radius, MINI_BATCH_PART * (box / 2 - 1)))


def final_radius(config: RefineConfig, box: int, pixel_size: float) -> float:
    """Fourier radius of the final maps: Nyquist, unless a coarser finest resolution saves memory."""
    return inserted_radius(largest_radius(config, box, pixel_size), box)
