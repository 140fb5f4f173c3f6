"""The particles of a set that have poses, for whatever needs them."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import combinations

import pandas as pd
import torch

from cryorbit.core.errors import InputError
from cryorbit.io.column_names import column_name
from cryorbit.io.cryosparc import names_of
from cryorbit.io.particles import Particles
from cryorbit.io.relion import ANGLES

NAMED = 3
"""Rows without a pose that are named."""
SAME_VIEW = 1e-6
"""Distance of view directions, as unit vectors, that is none."""
FEWEST_IN_RADIANS, CHANCE = 50, 0.1
"""Particles whose angles tell their unit, at least, and the part of them that may lie within a turn in radians: of
random views a few in a million do."""
TURN_RAD = 2 * math.pi + 1e-3
NEARLY_ALL = 0.9
"""Part of the particles of which two angles are small where these two are in radians."""
LEAST_RANGE_RAD = 1.5
"""Range of each of the two, at least."""
FIX = f"give a file with {', '.join(ANGLES)} (alignments3D/pose); `cryorbit abinit` finds poses"


def posed_particles(particles: Particles) -> tuple[Particles, str | None]:
    """The particles that have a pose, and a sentence on those that have none, if there are some.

    Half-sets of which one is left empty are given up.

    Raises
    ------
    InputError
        There are no poses, all of them are unset, all are of one view, or they are in radians.
    """
    if particles.poses is None:
        if (missing := _missing_angles(particles)) is not None:
            raise InputError(f"the particles have no poses: {missing[0]}", file=particles.source, fix=missing[1])
        raise InputError(f"the particles have no poses{_of_classes(particles)}", file=particles.source, fix=FIX)
    aligned = particles.aligned
    count = int((~aligned).sum())
    if count == len(particles):
        raise InputError(
            "the particles have no poses: all rotations are 0, as where nothing was aligned, or no number",
            file=particles.source,
            fix=FIX,
        )
    if (problem := pose_problem(particles)) is not None:
        raise InputError(problem[0], file=particles.source, fix=problem[1])
    if not count:
        return particles, None
    first = ", ".join(map(str, particles.rows[(~aligned).numpy()][:NAMED].tolist()))
    rows = f"row {first}" if count == 1 else f"rows {first}{' ...' if count > NAMED else ''}"
    said = (
        f"{count:,} of {len(particles):,} particles have no pose (rotation 0, or no number; {rows}) and are left out."
    )
    posed = particles.subset(torch.nonzero(aligned)[:, 0])
    if posed.half_sets is not None and particles.half_sets is not None:
        halves, before = len(posed.half_sets.unique()), len(particles.half_sets.unique())
        if halves < before:
            said += " The others are all in one half-set, so the half-sets are drawn again at random."
            posed = replace(posed, half_sets=None)
    return posed, said


def _of_classes(particles: Particles) -> str:
    """The fields of poses that a ``.cs`` file has instead, of classes or of another alignment."""
    names = () if particles.records is None else names_of(particles.records)
    others = [name for name in names if re.fullmatch(r"alignments\w+/pose", name)]
    return f" of one map, but those of {', '.join(others)}" if others else ""


def pose_problem(particles: Particles) -> tuple[str, str] | None:
    """What is wrong with the poses of the aligned particles as a whole, and how to fix it; None for nothing."""
    if particles.poses is None:
        return _missing_angles(particles)
    posed = particles.subset(torch.nonzero(particles.aligned)[:, 0])
    if not len(posed):
        return None
    return _one_view(posed) or _in_radians(posed)


def _missing_angles(particles: Particles) -> tuple[str, str] | None:
    """Some of the three angles are there without the others: a column was lost; picking leaves the last one alone."""
    there = [label for label in ANGLES if label in particles.table]
    absent = [label for label in ANGLES if label not in particles.table]
    if not there or not absent or there == [ANGLES[2]]:
        return None
    told = f"there is no column {' and no column '.join(absent)} beside {' and '.join(there)}"
    return told, f"add {' and '.join(absent)}, or correct the label; `cryorbit abinit` finds poses without any"


def _one_view(particles: Particles) -> tuple[str, str] | None:
    """A classification in two dimensions leaves angles in the plane, and no directions: a map needs several views."""
    assert particles.poses is not None
    views = particles.poses.rotations[:, 2]
    if len(views) < 2 or bool(((views - views[0]).norm(dim=-1) >= SAME_VIEW).any()):
        return None
    columns = " and ".join(dict.fromkeys(column_name(label, particles.source) for label in ANGLES[:2]))
    alike = "are alike" if " and " in columns else "leaves one direction"
    told = f"all particles have the same view ({columns} {alike}), as after a classification in two dimensions"
    return told, FIX


def _in_radians(particles: Particles) -> tuple[str, str] | None:
    """Angles within a turn in radians in more particles than chance would have it: all three, or two in nearly all."""
    if not set(ANGLES) <= set(particles.table) or len(particles) < FEWEST_IN_RADIANS:
        return None
    angles = particles.table[list(ANGLES)].apply(pd.to_numeric, errors="coerce")
    for labels in (ANGLES, *combinations(ANGLES, 2)):
        chosen = angles[list(labels)]
        small = chosen[(chosen.abs() <= TURN_RAD).all(axis=1)]
        if len(small) <= (CHANCE if labels == ANGLES else NEARLY_ALL) * len(particles):
            continue
        if labels != ANGLES and bool((small.max() - small.min() < LEAST_RANGE_RAD).any()):
            # angles of nearly one value are views from the top, or along a line
            continue
        which = "all" if len(small) == len(particles) else f"{len(small):,} of {len(particles):,}"
        named = ", ".join(labels)
        told = f"the angles of {which} particles lie within {small.abs().max(axis=None):.4g} ({named})"
        return f"{told}: degrees are expected", f"multiply {named} by 57.296, if they are in radians"
    return None
