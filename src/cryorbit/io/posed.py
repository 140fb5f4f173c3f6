"""The particles of a set that have poses, for whatever needs them."""

from __future__ import annotations

import torch

from cryorbit.core.errors import InputError
from cryorbit.io.particles import Particles
from cryorbit.io.relion import ANGLES

MEND = f"give a file with {', '.join(ANGLES)} (alignments3D/pose); `cryorbit abinit` finds poses"


def posed_particles(particles: Particles) -> tuple[Particles, str | None]:
    """The particles that were aligned, and a sentence on those that were not, if there are some.

    Raises
    ------
    InputError
        There are no poses, or all of them are unset.
    """
    if particles.poses is None:
        raise InputError("the particles have no poses", file=particles.source, mend=MEND)
    aligned = particles.aligned
    count = int((~aligned).sum())
    if not count:
        return particles, None
    if count == len(particles):
        raise InputError(
            "the particles have no poses: all rotations and shifts are 0, as where nothing was aligned",
            file=particles.source,
            mend=MEND,
        )
    first = int(particles.rows[int((~aligned).int().argmax())])
    return particles.subset(torch.nonzero(aligned)[:, 0]), (
        f"{count:,} of {len(particles):,} particles were never aligned (no rotation and no shift, row {first:,} first) "
        "and are left out."
    )
