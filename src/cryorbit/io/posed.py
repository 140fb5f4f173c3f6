"""The particles of a set that have poses, for whatever needs them."""

from __future__ import annotations

from dataclasses import replace

import torch

from cryorbit.core.errors import InputError
from cryorbit.io.particles import Particles
from cryorbit.io.relion import ANGLES

SAME_VIEW = 1e-6
"""Distance of view directions, as unit vectors, that is none."""
MEND = f"give a file with {', '.join(ANGLES)} (alignments3D/pose); `cryorbit abinit` finds poses"


def posed_particles(particles: Particles) -> tuple[Particles, str | None]:
    """The particles that were aligned, and a sentence on those that were not, if there are some.

    Half-sets of which one is left empty are given up.

    Raises
    ------
    InputError
        There are no poses, all of them are unset, or all are of one view.
    """
    if particles.poses is None:
        raise InputError("the particles have no poses", file=particles.source, mend=MEND)
    aligned = particles.aligned
    count = int((~aligned).sum())
    if not count:
        _refuse_one_view(particles)
        return particles, None
    if count == len(particles):
        raise InputError(
            "the particles have no poses: all rotations and shifts are 0, as where nothing was aligned",
            file=particles.source,
            mend=MEND,
        )
    first = int(particles.rows[int((~aligned).int().argmax())])
    said = (
        f"{count:,} of {len(particles):,} particles were never aligned (no rotation and no shift, row {first:,} first) "
        "and are left out."
    )
    posed = particles.subset(torch.nonzero(aligned)[:, 0])
    _refuse_one_view(posed)
    if posed.half_sets is not None and particles.half_sets is not None:
        halves, before = len(posed.half_sets.unique()), len(particles.half_sets.unique())
        if halves < before:
            said += " The others are all in one half-set, so that halves are drawn anew."
            posed = replace(posed, half_sets=None)
    return posed, said


def _refuse_one_view(particles: Particles) -> None:
    """A classification in two dimensions leaves angles in the plane, and no directions: a map needs several views."""
    assert particles.poses is not None
    views = particles.poses.rotations[:, 2]
    if len(views) > 1 and bool(((views - views[0]).norm(dim=-1) < SAME_VIEW).all()):
        raise InputError(
            "all particles have the same view (rlnAngleRot and rlnAngleTilt are alike), as after a classification in "
            "two dimensions",
            file=particles.source,
            mend=MEND,
        )
