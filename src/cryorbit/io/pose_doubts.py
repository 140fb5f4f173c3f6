"""Columns of poses that may have another unit than their labels say, and need not: doubts, where nothing is certain."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from cryorbit.io.particles import Particles
from cryorbit.io.posed import FEWEST_IN_RADIANS, TURN_RAD
from cryorbit.io.relion import ANGLES, ORIGINS_A, ORIGINS_PX

LEAST_RANGE_RAD = (4.0, 1.5, 4.0)
"""Range of each of the three angles, at least, where it is in radians: those in the plane go all around."""
FAR_BOXES, MOST_FAR = 0.25, 0.1
"""A shift that is far, in boxes, and the part of the particles that may be shifted so far: the box is cut about the
particle, which fills half of it or more."""


def pose_doubts(particles: Particles) -> list[str]:
    """Doubts about the units of poses, each of the form ``what is wrong; fix: ...``; none without poses."""
    if particles.poses is None or not bool(particles.aligned.any()):
        return []
    posed = particles.subset(particles.aligned)
    return [*_one_in_radians(posed), *_far_shifts(posed)]


def _one_in_radians(particles: Particles) -> Iterator[str]:
    """One angle that lies within a turn in radians throughout, beside others that do not."""
    if particles.records is not None or len(particles) < FEWEST_IN_RADIANS:
        return
    angles = particles.table[list(ANGLES)].apply(pd.to_numeric, errors="coerce")
    low, high = angles.min(), angles.max()
    small = (angles.abs() <= TURN_RAD).all()
    if int(small.sum()) != 1:
        return
    label = str(small.idxmax())
    if high[label] - low[label] >= LEAST_RANGE_RAD[ANGLES.index(label)]:
        yield (
            f"{label} lies between {low[label]:.3g} and {high[label]:.3g} degrees in all {len(particles):,} particles, "
            f"as radians would, and the other angles do not; fix: multiply it by 57.296 if it is in radians"
        )


def _far_shifts(particles: Particles) -> Iterator[str]:
    """Shifts of a good part of the box in many particles."""
    assert particles.poses is not None
    if not particles.box:
        return
    length = particles.poses.shifts.norm(dim=-1)
    far = length > FAR_BOXES * particles.box
    if float(far.double().mean()) <= MOST_FAR:
        return
    labels, fix = _origins(particles)
    yield (
        f"{int(far.sum()):,} of {len(particles):,} particles are shifted by more than a quarter of the box "
        f"({labels}; median {float(length.median()):.3g} of {particles.box} pixels); fix: {fix}"
    )


def _origins(particles: Particles) -> tuple[str, str]:
    """What the shifts are called, and what may be wrong with their unit."""
    if particles.records is not None:
        return (
            "alignments3D/shift",
            "correct alignments3D/psize_A, the pixels that they are counted in, or blob/psize_A",
        )
    if set(ORIGINS_A) <= set(particles.table):
        return ", ".join(ORIGINS_A), "give them, and the pixel size, in Å"
    return ", ".join(ORIGINS_PX), f"call them {' and '.join(ORIGINS_A)} if they are in Å"
