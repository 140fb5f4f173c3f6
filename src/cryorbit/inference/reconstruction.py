"""Statistics from known poses: every image is one slice."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.chunks import chunks
from cryorbit.core.data import Poses
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.imaging.shifts import shift_phases
from cryorbit.inference.local_search import Domain
from cryorbit.inference.statistics import VolumeStatistics, empty_statistics, insert, symmetric_copies

BATCH = 250


@dataclass(frozen=True, slots=True)
class KnownPoses:
    """What is known of N particles: pose, class (from 0), half-set (0 or 1), and a weight in [0, 1]."""

    poses: Poses
    klass: Int[Tensor, " n"]
    half_set: Int[Tensor, " n"]
    weight: Float[Tensor, " n"]


def reconstruct(
    source: ParticleSource,
    index: Int[Tensor, " n"],
    known: KnownPoses,
    domain: Domain,
    classes: int,
    symmetry: Float[Tensor, "s 3 3"] | None = None,
) -> VolumeStatistics:
    """Statistics of the particles at ``index`` in their known poses; ``mstep.maximise`` turns them into maps.

    Residuals and evidence are left at zero: there is no model to compare with.
    """
    like = torch.zeros(0, dtype=torch.complex64, device=source.device)
    statistics = empty_statistics(domain.grid, domain.disc, 2, classes, like)
    for part in chunks(len(index), BATCH):
        observations = source.observe(index[part], domain.disc, domain.noise_variance)
        weight = known.weight[part, None].to(observations.power)
        data = observations.data * shift_phases(known.poses.shifts[part], domain.disc) * weight
        rotations = known.poses.rotations[part].float()
        half, klass = known.half_set[part], known.klass[part]
        for h, k in itertools.product(range(2), range(classes)):
            mine = torch.nonzero((half == h) & (klass == k))[:, 0]
            if not len(mine):
                continue
            for copies in symmetric_copies(rotations[mine], symmetry):
                d, w = insert(data[mine], (observations.weight * weight)[mine], copies, domain.disc, domain.grid)
                statistics.data[h, k] += d
                statistics.weight[h, k] += w
        statistics.class_mass.index_add_(0, klass, known.weight[part].double())
        statistics.images.add_(len(observations))
    return statistics
