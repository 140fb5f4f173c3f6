"""Statistics from known poses: every image is one slice."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial, reduce

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.data import Poses
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.imaging.shifts import shift_phases
from cryorbit.inference.band import Band
from cryorbit.inference.exact_sums import ExactSums, WeightedSlices
from cryorbit.inference.half_set_sums import half_set_sums
from cryorbit.inference.statistics import (
    ImageTerms,
    VolumeStatistics,
    inserted_copies,
    no_terms,
    symmetrised,
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
    after: Callable[[int], None] | None = None,
) -> VolumeStatistics:
    """Statistics of the particles at ``index``, which rises, in known poses; ``mstep.maximise`` turns them into maps.

    Residuals and evidence are left at zero: there is no model to compare with. ``after`` is told the number of images
    of each half-set that is done.
    """
    halves = [torch.nonzero(known.half_set == half)[:, 0] for half in range(2)]

    def add(half: int, sums: ExactSums) -> ImageTerms:
        rows, none = halves[half], no_terms(band.noise_variance, classes)
        mine = index[rows.to(index.device)]
        work = partial(_add_known, sums, source, mine, known[rows], symmetry)
        terms = reduce(operator.add, source.shards.run(work, mine, source.batch_size(BATCH), sums), none)
        if after is not None:
            after(len(rows))
        return terms

    data, weight, terms = half_set_sums(source, [band, band], [len(rows) for rows in halves], classes, add)
    return symmetrised(VolumeStatistics.of(data, weight, terms[0] + terms[1]), symmetry, band.grid)


def _add_known(
    sums: ExactSums,
    source: ParticleSource,
    index: Int[Tensor, " n"],
    known: KnownPoses,
    symmetry: Float[Tensor, "s 3 3"] | None,
    part: slice,
) -> ImageTerms:
    """Add a batch of particles to the sums, in place: they may be too large for a second copy."""
    band, known = sums.band, known[part]
    observations = source.observe(index[part], band.disc, band.noise_variance)
    weight = known.weight[:, None].to(observations.power)
    data = observations.data * shift_phases(known.poses.shifts, band.disc) * weight
    weights = observations.weight * weight
    rotations = known.poses.rotations.float()
    none = no_terms(band.noise_variance, sums.counts.shape[1])
    parts = []
    for k in range(len(none.class_mass)):
        mine = torch.nonzero(known.klass == k)[:, 0]
        if len(mine):
            d, w, copies = data[mine], weights[mine], inserted_copies(rotations[mine], symmetry)
            parts += [WeightedSlices(0, k, d, w, each) for each in copies]
    mass = none.class_mass.index_add(0, known.klass, known.weight.double())
    terms = replace(none, class_mass=mass, images=none.images + len(observations))
    # last: what fails before, for want of memory, is tried again with fewer images
    sums.add(parts)
    return terms
