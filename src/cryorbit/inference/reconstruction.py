"""Statistics from known poses: every image is one slice."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.data import Poses
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.imaging.shifts import shift_phases
from cryorbit.inference.band import Band
from cryorbit.inference.exact_sums import ExactSums, exact_sums
from cryorbit.inference.statistics import (
    ImageTerms,
    VolumeStatistics,
    inserted_copies,
    no_terms,
    symmetrised,
    volume_statistics,
)

BATCH = 250


@dataclass(frozen=True, slots=True)
class KnownPoses:
    """What is known of N particles: pose, class (from 0), half-set (0 or 1), and a weight in [0, 1]."""

    poses: Poses
    klass: Int[Tensor, " n"]
    half_set: Int[Tensor, " n"]
    weight: Float[Tensor, " n"]

    def __getitem__(self, index: slice | Int[Tensor, " m"]) -> KnownPoses:
        """What is known of the particles at ``index``."""
        poses = Poses(self.poses.rotations[index], self.poses.shifts[index])
        return KnownPoses(poses, self.klass[index], self.half_set[index], self.weight[index])


def reconstruct(
    source: ParticleSource,
    index: Int[Tensor, " n"],
    known: KnownPoses,
    band: Band,
    classes: int,
    symmetry: Float[Tensor, "s 3 3"] | None = None,
    after: Callable[[slice], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> VolumeStatistics:
    """Statistics of the particles at ``index``, which rises, in known poses; ``mstep.maximise`` turns them into maps.

    Residuals and evidence are left at zero: there is no model to compare with. ``after`` is told the rows of each batch
    that is done; ``stop`` ends the work, as `Shards.run` has it.
    """
    sums = exact_sums(band, len(index), 2, classes, source.device)

    def add(part: slice) -> ImageTerms:
        terms = _add_known(sums, source, index[part], known[part], band, symmetry)
        if after is not None:
            after(part)
        return terms

    terms = source.shards.run(add, index, source.batch_size(BATCH), stop)
    total = reduce(operator.add, terms, no_terms(band.noise_variance, classes))
    return symmetrised(volume_statistics(sums, total, source.group), symmetry, band.grid)


def _add_known(
    sums: ExactSums,
    source: ParticleSource,
    index: Int[Tensor, " b"],
    known: KnownPoses,
    band: Band,
    symmetry: Float[Tensor, "s 3 3"] | None,
) -> ImageTerms:
    """Add a batch of particles to the sums, in place: they may be too large for a second copy."""
    observations = source.observe(index, band.disc, band.noise_variance)
    weight = known.weight[:, None].to(observations.power)
    data = observations.data * shift_phases(known.poses.shifts, band.disc) * weight
    weights = observations.weight * weight
    rotations = known.poses.rotations.float()
    halves, classes = sums.counts.shape[:2]
    for h, k in itertools.product(range(halves), range(classes)):
        mine = torch.nonzero((known.half_set == h) & (known.klass == k))[:, 0]
        if not len(mine):
            continue
        d, w = data[mine], weights[mine]
        for copies in inserted_copies(rotations[mine], symmetry):
            sums.add(h, k, d, w, copies)
    none = no_terms(band.noise_variance, classes)
    mass = none.class_mass.index_add(0, known.klass, known.weight.double())
    return replace(none, class_mass=mass, images=none.images + len(observations))
