"""Reconstruction from known poses: every image is inserted where its pose says, nothing is searched.

The stages: the particles with poses (``read_posed``), the sums over their images (``add_images``), the maps of both
half-sets (``solve_maps``), and the files.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from cryorbit.core.bounds import COARSEST_A, MOST
from cryorbit.core.data import Poses
from cryorbit.core.errors import InputError
from cryorbit.core.progress import Progress
from cryorbit.core.seeds import generator_for
from cryorbit.core.verdict import sentence_of
from cryorbit.geometry.point_groups import point_group
from cryorbit.inference.band import Band, band_within
from cryorbit.inference.constraints import windowed, without_corners
from cryorbit.inference.mstep import Maps, compare_halves, regularised
from cryorbit.inference.reconstruction import KnownPoses, reconstruct
from cryorbit.inference.statistics import VolumeStatistics
from cryorbit.io.column_names import column_name
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import ClassRecord, Result
from cryorbit.io.particles import NO_CLASS, Particles, class_numbers
from cryorbit.io.particles_writing import Assignments, write_particles
from cryorbit.io.pose_doubts import pose_doubts
from cryorbit.io.posed import posed_particles
from cryorbit.io.relion import CLASS
from cryorbit.io.set_aside import write_set_aside
from cryorbit.recipes.dataset import Dataset, read_chosen, read_dataset
from cryorbit.recipes.half_sets import SUBSET
from cryorbit.recipes.map_files import ONLY_MAP, PHASES, FinishedMap, finish_map, on_full_box, write_map_files
from cryorbit.recipes.masks import read_mask
from cryorbit.recipes.posed_verdict import PosedEvidence, judge
from cryorbit.recipes.posed_warnings import on_symmetry, on_views, require_on_halves
from cryorbit.recipes.settings import ParticleSettings
from cryorbit.recipes.volume_memory import VolumeLoad, require_volumes

INSERT = "insert"
"""Name of the one iteration."""


class ReconstructConfig(ParticleSettings):
    """Settings of a reconstruction from known poses."""

    mask: Path | None = Field(None, description="Soft mask for the FSC (MRC). Default: made from the map.")
    class_number: int | None = Field(
        None, ge=1, le=MOST, description="Use only the particles of this class. Default: all particles."
    )
    max_resolution: float | None = Field(
        None,
        gt=0,
        le=COARSEST_A,
        description="Finest resolution of the map, Å; coarser takes less memory. Default: that of the pixels.",
    )


def run(config: ReconstructConfig, job: JobFolder, progress: Progress) -> Result:
    """Reconstruct; a job that was stopped goes on within the sums.

    Raises
    ------
    InputError
        The particles cannot be used, or the volumes do not fit into the memory.
    Stopped
        The job was asked to stop; what it has summed is kept.
    """
    posed, without_pose = read_posed(config)
    mask = None
    if config.mask is not None:
        mask = read_mask(config.mask, torch.empty((posed.box,) * 3), posed.pixel_size)
    dataset = read_dataset(config, posed, job.group).of_job(
        job, job.journal(progress, config.device, config.save_minutes)
    )
    known = _known(dataset)
    if config.mask is not None and mask is not None:
        require_on_halves(mask, dataset, known, config.mask)
    asymmetric = on_symmetry(dataset, known, config.symmetry)
    uneven = on_views(known.poses.rotations.cpu(), dataset.symmetry, config.seed)
    halves = _on_half_sets(config, dataset.particles)
    of_poses = pose_doubts(dataset.particles)
    said_of_poses = (*without_pose, *map(sentence_of, of_poses))
    notes = [_on_classes(config, posed), *said_of_poses, halves, *dataset.sentences, *asymmetric, *uneven]
    for sentence in notes:
        progress.note(sentence)
    band = band_within(dataset.box, largest_radius(config, posed), dataset.noise_variance)
    statistics = add_images(dataset, known, band, job, progress)
    maps = solve_maps(dataset, band, statistics)
    finished = _write(config, dataset, maps, mask, job)
    for sentence in finished.limits:
        progress.note(sentence)
    doubts = [*of_poses, *dataset.doubts(min(finished.resolution_A, finished.fsc.resolution()))]
    evidence = PosedEvidence(finished, mask is not None, asymmetric, uneven, doubts, halves)
    result = Result(
        classes=(_class_record(finished, len(dataset.particles)),),
        verdict=judge(evidence),
        particles=dataset.count,
        diameter_A=dataset.diameter,
        notes=(*notes, *finished.limits),
    )
    job.write_result(result)
    return result


def read_posed(config: ReconstructConfig) -> tuple[Particles, list[str]]:
    """The aligned particles of the chosen class, and what is said of those without a pose.

    Raises
    ------
    InputError
        There are no poses, no particles of the class, or too little memory.
    """
    particles, without_pose = posed_particles(read_chosen(config))
    if config.class_number is not None:
        classes = class_numbers(particles)
        chosen = torch.nonzero(classes == config.class_number)[:, 0]
        if not len(chosen):
            there = ", ".join(map(str, classes[classes != NO_CLASS].unique().tolist())) or "not known"
            raise InputError(
                f"there are no particles of class {config.class_number}",
                file=config.particles,
                fix=f"the classes here are {there}",
            )
        particles = particles.subset(chosen)
    symmetric = len(point_group(config.symmetry)) > 1
    load = VolumeLoad(particles.box, largest_radius(config, particles), symmetric=symmetric)
    require_volumes(config, load, particles.pixel_size)
    return particles, [] if without_pose is None else [without_pose]


def largest_radius(config: ReconstructConfig, particles: Particles) -> float:
    """Fourier radius of the map: that of the finest resolution, or just below Nyquist."""
    nyquist = particles.box / 2 - 1
    if config.max_resolution is None:
        return nyquist
    return min(nyquist, max(4.0, particles.box * particles.pixel_size / config.max_resolution))


def add_images(dataset: Dataset, known: KnownPoses, band: Band, job: JobFolder, progress: Progress) -> VolumeStatistics:
    """Sums over the images of both half-sets, batch after batch: memory does not grow with their number."""
    source, everything = dataset.source, torch.arange(len(dataset.particles))
    job.truncate_metrics(0)
    progress.start(2, "adding up half-sets")
    number, began = 0, time.monotonic()

    def tell(images: int) -> None:
        nonlocal number, began
        spent = {"batch": images, "seconds": time.monotonic() - began}
        job.write_metrics({"stage": INSERT, "iteration": number, **spent})
        number, began = number + 1, time.monotonic()
        progress.advance()

    source.watch.begin(INSERT)
    statistics = reconstruct(source, everything, known, band, 1, dataset.operators, tell)
    source.watch.begin(None)
    return statistics


def solve_maps(dataset: Dataset, band: Band, statistics: VolumeStatistics) -> Maps:
    """Half maps without filter, within the ball that fits the box, and the map within the ball of the particle.

    The corners of the box are cut off because images show only parts of them. The map is ``D / (W + 1/tau^2)``, with
    tau^2 from the correlation of the half maps within the ball of the particle.
    """
    grid = band.grid
    window = dataset.window(grid.size)
    compared = compare_halves(statistics, grid, band.disc.radius, window)
    volume = windowed(regularised(statistics, compared.fsc, compared.weights, grid), window)
    halves = torch.stack([without_corners(half) for half in compared.halves])
    return on_full_box(Maps(volume, halves, compared.fsc), dataset.box)


def _known(dataset: Dataset) -> KnownPoses:
    device, count = dataset.source.device, len(dataset.particles)
    stated = dataset.particles.poses
    assert stated is not None
    poses = dataset.source.poses_on_read(stated)
    return KnownPoses(
        Poses(poses.rotations.float().to(device), poses.shifts.float().to(device)),
        torch.zeros(count, dtype=torch.long, device=device),
        dataset.half_set.to(device),
        torch.ones(count, device=device),
    )


def _on_classes(config: ReconstructConfig, posed: Particles) -> str:
    if config.class_number is not None:
        return f"The map is that of class {config.class_number}, {len(posed):,} particles."
    classes = class_numbers(posed)
    count = len(classes[classes != NO_CLASS].unique())
    if count <= 1:
        return f"All {len(posed):,} particles make one map."
    named = column_name(CLASS, posed.source)
    return f"The particles are of {count} classes ({named}); all make one map. --class picks one."


def _on_half_sets(config: ReconstructConfig, particles: Particles) -> str:
    if particles.half_sets is not None:
        return f"Half-sets are those of the input ({column_name(SUBSET, particles.source)})."
    return (
        f"Half-sets were drawn at random (seed {config.seed}): if their poses were refined together, "
        "the correlation of the half-maps is an upper bound."
    )


def _write(
    config: ReconstructConfig,
    dataset: Dataset,
    maps: Maps,
    mask: Float[Tensor, "n n n"] | None,
    job: JobFolder,
) -> FinishedMap:
    """Write every file of the job but its record."""
    finished = finish_map(
        (maps.volume[0], maps.halves[:, 0]),
        dataset.source.pixel_size,
        largest_radius(config, dataset.particles),
        generator_for(config.seed, PHASES),
        dataset.window(dataset.box),
        mask,
    )
    write_map_files(job.path, ONLY_MAP, finished, f"half-maps of {config.particles.name}")
    write_particles(job.path / "particles.star", dataset.particles, Assignments(half_set=dataset.half_set + 1))
    write_set_aside(job.path / "set_aside.star", dataset.everything, dataset.report)
    return finished


def _class_record(finished: FinishedMap, particles: int) -> ClassRecord:
    return ClassRecord(
        name="map",
        map=ONLY_MAP.map,
        fsc=f"{ONLY_MAP.fsc}.csv",
        particles=particles,
        fraction=1.0,
        resolution_A=finished.resolution_A,
        resolution_masked_A=finished.fsc.resolution(),
    )
