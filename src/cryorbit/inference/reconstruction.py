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
from cryorbit.inference.exact_sums import ExactSums, exact_sums
from cryorbit.inference.shelf import Shelf
from cryorbit.inference.statistics import (
    ImageTerms,
    VolumeStatistics,
    empty_volumes,
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
    after: Callable[[slice], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> VolumeStatistics:
    """Statistics of the particles at ``index``, which rises, in known poses; ``mstep.maximise`` turns them into maps.

    Residuals and evidence are left at zero: there is no model to compare with. ``after`` is told the rows of each batch
    that is done, of one half-set after the other; ``stop`` ends the work, as `Shards.run` has it. Sums of the first
    half-set are put into a file in ``source.scratch`` while those of the second are made.
    """
    terms = no_terms(band.noise_variance, classes)
    with Shelf(source.scratch) as shelf:
        for half in range(2):
            rows = torch.nonzero(known.half_set == half)[:, 0]
            sums = exact_sums(band, len(rows), 1, classes, source.device)
            add = partial(_add_known, sums, source, index[rows.to(index.device)], known[rows], symmetry, after)
            mine = source.shards.run(add, index[rows.to(index.device)], source.batch_size(BATCH), stop)
            terms = reduce(operator.add, mine, terms)
            sums.gather_(source.group)
            shelf.put(sums)
            del sums, add
        like = torch.zeros(0, dtype=torch.complex64, device=source.device)
        data, weight = empty_volumes(band.grid, 2, classes, like)
        shelf.take(data, weight)
    return symmetrised(VolumeStatistics.of(data, weight, terms), symmetry, band.grid)


def _add_known(
    sums: ExactSums,
    source: ParticleSource,
    index: Int[Tensor, " n"],
    known: KnownPoses,
    symmetry: Float[Tensor, "s 3 3"] | None,
    after: Callable[[slice], None] | None,
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
    for k in range(len(none.class_mass)):
        mine = torch.nonzero(known.klass == k)[:, 0]
        if not len(mine):
            continue
        d, w = data[mine], weights[mine]
        for copies in inserted_copies(rotations[mine], symmetry):
            sums.add(0, k, d, w, copies)
    if after is not None:
        after(part)
    mass = none.class_mass.index_add(0, known.klass, known.weight.double())
    return replace(none, class_mass=mass, images=none.images + len(observations))
