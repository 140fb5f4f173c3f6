"""A first map from moments: one pass over the images, then moments inverted, without the pose of any image.

The two halves of the particles are worked on apart, each from random starts of its own, so that what their maps have in
common is what the data determine. The map is then fitted to all particles, from where the halves ended.
"""

from __future__ import annotations

import logging
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from cryorbit.core.bounds import COARSEST_A, MOST
from cryorbit.core.errors import InputError
from cryorbit.core.progress import Progress, Stopped
from cryorbit.core.seeds import generator_for
from cryorbit.io.job_folder import JobFolder
from cryorbit.moments.fit import Fit
from cryorbit.moments.ring_fit import RingProblem, seen_orders, two_levels, volume_degree
from cryorbit.moments.ring_sums import RingSums
from cryorbit.moments.rings import Rings, ring_transfer
from cryorbit.recipes.compare import read_like
from cryorbit.recipes.dataset import Dataset, read_dataset
from cryorbit.recipes.moment_files import MomentFit, MomentsResult, write_moment_job
from cryorbit.recipes.settings import ParticleSettings

LOGGER = logging.getLogger(__name__)
BATCH = 1024
RESOLUTION = 30.0
FINEST_PARTS = 4.2
"""Parts of the diameter that are told apart at most: cost grows with a high power of them."""
MARGIN = 1.3
"""Radius of the ball that the volume fills, over that of the particle."""
SEEN_AROUND = 0.14
"""Width around the particle that is looked at too, parts of the box: shifts and CTFs carry signal there."""


class MomentsConfig(ParticleSettings):
    """Settings of a map from moments."""

    resolution: float | None = Field(
        None,
        gt=0,
        le=COARSEST_A,
        description="Finest resolution of the map, Å. Default: 30 Å, coarser for large particles.",
    )
    starts: int = Field(4, ge=1, le=MOST, description="Number of random starts for each half of the particles.")
    kept: int = Field(
        2, ge=1, le=MOST, description="Number of best starts of each half that are continued at the fine level."
    )
    coarse_steps: int = Field(120, ge=1, le=MOST, description="Optimisation steps of each coarse fit.")
    fine_steps: int = Field(200, ge=1, le=MOST, description="Optimisation steps of each fine fit.")
    density_degree: int = Field(
        4,
        ge=0,
        le=MOST,
        description="Degree of the spherical harmonics that describe the density of views; 0 for uniform views.",
    )
    compare: Path | None = Field(None, description="Another map of the particle to compare with (MRC). Default: none.")


def input_files(config: MomentsConfig) -> list[Path]:
    """The files that the recipe reads."""
    return [file for file in (config.particles, config.compare) if file is not None]


@dataclass(frozen=True, slots=True)
class RingPlan:
    """What is looked at in the images.

    Attributes
    ----------
    rings
        The waves.
    extent
        Radius of the ball that the volume fills, units of the box.
    noise
        Covariances of the noise.
    """

    rings: Rings
    extent: float
    noise: Float[Tensor, "n k k"]


@dataclass(slots=True)
class _Work:
    """A job under way: sums of both halves, fits by name; each step is kept as soon as it is done."""

    job: JobFolder
    progress: Progress
    sums: list[RingSums]
    fits: dict[str, Fit]

    @classmethod
    def resumed(cls, job: JobFolder, progress: Progress, device: torch.device) -> _Work:
        """What the checkpoint holds, or nothing done."""
        checkpoint = job.group.broadcast(job.load_checkpoint())
        if checkpoint is None:
            return cls(job, progress, [], {})
        sums = [RingSums(*(tensor.to(device) for tensor in each)) for each in checkpoint["sums"]]
        return cls(job, progress, sums, {name: Fit(*each) for name, each in checkpoint["fits"].items()})

    def all_of(self, makes: Mapping[str, Callable[[], Fit]]) -> list[Fit]:
        """Fits by their names: those that were not made before are dealt out to the processes of the job."""
        group = self.job.group
        left = [name for name in makes if name not in self.fits]
        for name in makes.keys() - set(left):
            self.progress.advance(cost=self.fits[name].cost)
        for first in range(0, len(left), group.size):
            names = left[first : first + group.size]
            mine = names[group.rank :][:1]
            for fits in group.gather({name: makes[name]() for name in mine}):
                for name, fit in fits.items():
                    self.fits[name] = fit
                    LOGGER.info("%s: cost %.1f after %d evaluations", name, fit.cost, fit.evaluations)
                    self.progress.advance(cost=fit.cost)
            self.save()
        return [self.fits[name] for name in makes]

    def save(self) -> None:
        """Keep everything; ``Stopped`` if that was asked for."""
        fits = {name: [fit.parameters, fit.cost, fit.evaluations] for name, fit in self.fits.items()}
        sums = [list(each.tensors()) for each in self.sums]
        self.job.save_checkpoint({"sums": sums, "fits": fits})
        if self.job.group.any(flag=self.progress.stop_requested()):
            raise Stopped


def run(config: MomentsConfig, job: JobFolder, progress: Progress) -> MomentsResult:
    """Form the moments, invert them, and write the map.

    Raises
    ------
    InputError
        The particles cannot be used, or the map to compare with does not lie on their grid.
    Stopped
        The job was asked to stop; it goes on where it was when it is resumed.
    """
    dataset = read_dataset(config, group=job.group).of_job(
        job, job.journal(progress, config.device, config.save_minutes)
    )
    if len(dataset.symmetry) > 1:
        raise InputError("maps from moments are made without symmetry", fix="leave --symmetry out")
    other = None
    if config.compare is not None:
        other = read_like(config.compare, torch.empty((dataset.box,) * 3), dataset.source.pixel_size)
    for sentence in dataset.sentences:
        progress.note(sentence)
    if dataset.source.aberrations is not None:
        progress.note("Moments are formed without a correction for aberrations, which matter at higher resolution.")
    plan = plan_rings(dataset, config.resolution)
    work = _Work.resumed(job, progress, plan.rings.radii.device)
    if not work.sums:
        _add_images(dataset, plan.rings, work)
    return write_moment_job(job, dataset, _invert(config, dataset.box, plan, work), other)


def plan_rings(dataset: Dataset, resolution: float | None) -> RingPlan:
    """Rings up to the resolution, as close as the width of what is looked at asks for."""
    finest = max(RESOLUTION, dataset.diameter / FINEST_PARTS) if resolution is None else resolution
    last = min(dataset.extent / finest, 0.5 * dataset.box - 1)
    seen = min(0.5 * dataset.diameter_px + SEEN_AROUND * dataset.box, 0.5 * dataset.box - 1)
    count = max(3, math.ceil(2 * seen / dataset.box * last) + 1)
    device = dataset.source.device
    radii = (torch.arange(count, dtype=torch.float64, device=device) + 0.5) * (last / count)
    extent = min(0.5, 0.5 * MARGIN * dataset.diameter / dataset.extent)
    rings = Rings.of(dataset.box, radii, seen_orders(volume_degree(float(radii[-1]), extent)), seen)
    LOGGER.info("%d rings up to %.0f Å, orders up to %d.", count, finest, rings.orders)
    return RingPlan(rings, extent, rings.noise(dataset.noise_variance))


def _add_images(dataset: Dataset, rings: Rings, work: _Work) -> None:
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


def _invert(config: MomentsConfig, box: int, plan: RingPlan, work: _Work) -> MomentFit:
    """Fits of both halves, coarse and then fine, and of all particles from where these end."""
    noise, radii = plan.noise.cpu(), plan.rings.radii.cpu()
    halves = [RingSums(*(each.cpu() for each in sums.tensors())) for sums in work.sums]
    first, second, everything = (
        two_levels(each.estimate(noise), radii, box, plan.extent, config.density_degree)
        for each in (*halves, halves[0] + halves[1])
    )
    work.progress.start(2 * (config.starts + min(config.kept, config.starts) + 1), "inversion")
    ends = _fit_halves(config, (first, second), work)
    problem = everything[1]
    makes = {
        f"all from half {half + 1}": partial(problem.fit, end.parameters, config.fine_steps)
        for half, end in enumerate(ends)
    }
    best = min(work.all_of(makes), key=lambda fit: fit.cost)
    return MomentFit(problem, best.parameters, (ends[0].parameters, ends[1].parameters))


def _fit_halves(config: MomentsConfig, halves: Sequence[tuple[RingProblem, RingProblem]], work: _Work) -> list[Fit]:
    """The best fine fit of each half, from its best coarse ones."""

    def begin(half: int, number: int) -> Fit:
        coarse, _ = halves[half]
        start = coarse.start(generator_for(config.seed, "volume from moments", half, number))
        return coarse.fit(coarse.fit_even(start, config.coarse_steps).parameters, config.coarse_steps)

    def refine(half: int, begun: Fit) -> Fit:
        coarse, fine = halves[half]
        return fine.fit(fine.from_coarse(coarse, begun.parameters), config.fine_steps)

    coarsely = work.all_of(
        {f"half {h + 1} coarse {n + 1}": partial(begin, h, n) for h in range(len(halves)) for n in range(config.starts)}
    )
    finely: dict[str, Callable[[], Fit]] = {}
    for half in range(len(halves)):
        mine = coarsely[half * config.starts :][: config.starts]
        best = sorted(mine, key=lambda fit: fit.cost)[: config.kept]
        finely |= {f"half {half + 1} fine {n + 1}": partial(refine, half, fit) for n, fit in enumerate(best)}
    ends, kept = work.all_of(finely), len(finely) // len(halves)
    return [min(ends[half * kept :][:kept], key=lambda fit: fit.cost) for half in range(len(halves))]
