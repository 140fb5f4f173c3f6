"""Statistics from known poses: every image is one slice."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.data import Poses
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.imaging.shifts import shift_phases
from cryorbit.inference.band import Band
from cryorbit.inference.statistics import VolumeStatistics, empty_statistics, inserted_copies, symmetrised

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
) -> VolumeStatistics:
    """Statistics of the particles at ``index``, which rises, in known poses; ``mstep.maximise`` turns them into maps.

    Residuals and evidence are left at zero: there is no model to compare with. ``after`` is told the rows of each batch
    that is done; it may raise to end the work.
    """
    like = torch.zeros(0, dtype=torch.complex64, device=source.device)
    statistics = empty_statistics(band.grid, band.disc, 2, classes, like)

    def add(part: slice) -> None:
        _add_known(statistics, source, index[part], known[part], band, symmetry)
        if after is not None:
            after(part)

    source.shards.run(add, index, source.batch_size(BATCH))
    source.group.sum_(statistics.tensors())
    return symmetrised(statistics, symmetry, band.grid)


def _add_known(
    statistics: VolumeStatistics,
    source: ParticleSource,
    index: Int[Tensor, " b"],
    known: KnownPoses,
    band: Band,
    symmetry: Float[Tensor, "s 3 3"] | None,
) -> None:
    """Add a batch of particles to the statistics, in place: they may be too large for a second copy."""
    observations = source.observe(index, band.disc, band.noise_variance)
    weight = known.weight[:, None].to(observations.power)
    data = observations.data * shift_phases(known.poses.shifts, band.disc) * weight
    weights = observations.weight * weight
    rotations = known.poses.rotations.float()
    halves, classes = statistics.data.shape[:2]
    for h, k in itertools.product(range(halves), range(classes)):
        mine = torch.nonzero((known.half_set == h) & (known.klass == k))[:, 0]
        if not len(mine):
            continue
        d, w = data[mine], weights[mine]
        for copies in inserted_copies(rotations[mine], symmetry):
            band.grid.add((statistics.data[h, k], statistics.weight[h, k]), d, w, copies, band.disc.frequencies)
    statistics.class_mass.index_add_(0, known.klass, known.weight.double())
    statistics.images.add_(len(observations))
