"""A first map from moments: one pass over the images, then moments inverted, without the pose of any image.

The two halves of the particles are worked on apart, each from random starts of its own, so that what their maps have in
common is what the data determine. The map is then fitted to all particles, from where the halves ended.
"""

from __future__ import annotations

import operator
from functools import reduce

import torch

from cryorbit.core.errors import InputError
from cryorbit.core.progress import Progress
from cryorbit.geometry.point_groups import point_group
from cryorbit.io.job_folder import JobFolder
from cryorbit.moments.ring_sums import RingSums
from cryorbit.moments.rings import Rings, ring_transfer
from cryorbit.recipes.compare import read_like
from cryorbit.recipes.dataset import Dataset, read_dataset
from cryorbit.recipes.moments.config import MomentsConfig
from cryorbit.recipes.moments.inversion import invert
from cryorbit.recipes.moments.outputs import Comparison, MomentsResult, write_outputs
from cryorbit.recipes.moments.ring_plan import RingPlan
from cryorbit.recipes.moments.work import MomentWork

BATCH = 1024
FEW = 5000
"""Particles below which a user is warned: sets of 10,000 were tested, at a signal-to-noise ratio of 0.1."""


def run(config: MomentsConfig, job: JobFolder, progress: Progress) -> MomentsResult:
    """Form the moments, invert them, and write the map.

    Raises
    ------
    InputError
        The particles cannot be used, a symmetry was asked for, or the map to compare with does not lie on their grid.
    Stopped
        The job was asked to stop; it goes on where it was when it is resumed.
    """
    require_no_symmetry(config.symmetry, "leave --symmetry out")
    dataset = read_dataset(config, group=job.group).of_job(
        job, job.journal(progress, config.device, config.save_minutes)
    )
    other = _other_map(config, dataset)
    for sentence in dataset.sentences:
        progress.note(sentence)
    if len(dataset.particles) < FEW:
        progress.note(
            f"With {len(dataset.particles):,} particles moments may not determine a map, as noise averages out over "
            "thousands of images; `cryorbit abinit` takes fewer."
        )
    if dataset.source.aberrations is not None:
        progress.note("Moments are formed without a correction for aberrations, which matter at higher resolution.")
    plan = RingPlan.of(dataset, config.resolution)
    work = MomentWork.resumed(job, progress, plan.rings.radii.device)
    if job.finish_now and not work.fits:
        raise InputError("no map is fitted yet", fix="resume without --finish-now")
    if not work.sums:
        _add_images(dataset, plan.rings, work)
    inversion = invert(config, config.seed, dataset.box, plan, work)
    return write_outputs(job, dataset, inversion, other)


def require_no_symmetry(symmetry: str, fix: str) -> None:
    """Raise ``InputError`` if a symmetry is asked for, which moments do not use."""
    if len(point_group(symmetry)) > 1:
        raise InputError("maps from moments are made without symmetry", fix=fix)


def _other_map(config: MomentsConfig, dataset: Dataset) -> Comparison | None:
    """The map to compare with, on the grid of the images."""
    if config.compare is None:
        return None
    grid = torch.empty((dataset.box,) * 3)
    return Comparison(read_like(config.compare, grid, dataset.source.pixel_size), config.compare.name)


def _add_images(dataset: Dataset, rings: Rings, work: MomentWork) -> None:
    """Sums over the images of both halves, shard after shard."""
    source = dataset.source
    everything = torch.arange(len(source))

    def add(shard: slice) -> tuple[RingSums, RingSums]:
        first = second = RingSums.none(rings.orders, len(rings.radii), rings.radii.device)
        for part in source.batches(shard.stop - shard.start, BATCH):
            index = everything[shard][part]
            waves = rings.analyse(source.read(index))
            transfer = ring_transfer(source, index, rings.radii)
            chosen = dataset.half_set[index].to(waves.device) == 0
            first, second = (
                sums + RingSums.of(waves[mine], transfer[mine], premultiplied=source.premultiplied)
                for sums, mine in ((first, chosen), (second, ~chosen))
            )
        return first, second

    work.progress.start(1, "moments")
    source.watch.begin("moments")
    shards = source.shards.run(add, everything, len(source))
    work.sums = [reduce(operator.add, halves) for halves in zip(*shards, strict=True)]
    work.save()
    source.watch.begin(None)
    work.progress.advance()
