"""Levels of a search for poses, from a coarse grid to what the images can tell apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Level:
    """One level of refinement: the grid it makes and the radius it scores at.

    Attributes
    ----------
    spacing
        Angular spacing (degrees) of the level's rotations.
    shift_step
        Spacing (px) of its lattice of local shifts.
    radius
        Fourier radius of its scores.
    at_most, keep_nats
        Which candidates go on to the next level: so many, none farther behind the best.
    """

    spacing: float
    shift_step: float
    radius: float
    at_most: int
    keep_nats: float = 10.0


def finest_spacing(radius: float, diameter_px: float, box: int) -> float:
    """Angular spacing in degrees that loses next to nothing at ``radius``: ``0.7 N / (D r)`` radians."""
    return math.degrees(0.7 * box / (diameter_px * radius))


def levels_for(
    radius: float, first_spacing: float, first_step: float, diameter_px: float, box: int, at_most: int
) -> list[Level]:
    """Levels from a coarse grid down to what ``radius`` can tell apart, ``at_most`` candidates going on from each.

    A rotation by an angle a moves coefficients at radius r by ``a r``; a particle of diameter D in a box N tells
    apart displacements of ``N / D`` Fourier pixels. So a level of spacing a is scored up to ``r = 1.2 N / (D a)``
    (never below half the final radius), and the last level has ``a <= 0.7 N / (D r)``.
    """
    levels = []
    spacing, step = first_spacing, first_step
    finest = finest_spacing(radius, diameter_px, box)
    while True:
        spacing, step = spacing / 2, step / 2
        level_radius = 1.2 * box / (diameter_px * spacing * torch.pi / 180)
        last = spacing <= finest
        levels.append(Level(spacing, step, radius if last else min(radius, max(level_radius, 0.5 * radius)), at_most))
        if last:
            return levels
