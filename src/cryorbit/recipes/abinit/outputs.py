"""What the job leaves: maps, half maps, masks, particles, correlations, the verdict."""

from __future__ import annotations

import json
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from cryorbit.core.data import Poses
from cryorbit.core.seeds import generator_for
from cryorbit.core.verdict import Verdict
from cryorbit.inference.band import band_within
from cryorbit.inference.mstep import Maps, maximise
from cryorbit.inference.pose_estimates import PoseEstimates
from cryorbit.inference.reconstruction import KnownPoses, reconstruct
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import ClassRecord, Measured, ParticleCount, Result, as_record
from cryorbit.io.metrics import plain
from cryorbit.io.mrc import write_map
from cryorbit.recipes.abinit.config import AbinitConfig
from cryorbit.recipes.abinit.finish_stage import imposed_operators
from cryorbit.recipes.abinit.prepare import LARGEST_RADIUS, AbinitDataset
from cryorbit.recipes.abinit.state import AbinitState
from cryorbit.recipes.abinit.symmetry_trial import SymmetryTrial
from cryorbit.recipes.abinit.verdict import compare_starts, judge_maps
from cryorbit.recipes.map_files import PHASES, c1_file, class_files, finish_map, on_full_box, write_map_files
from cryorbit.recipes.particle_files import write_particle_files
from cryorbit.volumes.voxel import resample


@dataclass(frozen=True, slots=True, kw_only=True)
class AbinitResult(Result):
    """What an ab initio job found.

    Attributes
    ----------
    symmetry_scores
        Of each class, how well the map without symmetry agrees with its copies; empty without a trial.
    symmetry_trial
        What came of the symmetry that was asked for; None without any.
    """

    verdict: Verdict
    particles: ParticleCount
    diameter_A: float  # noqa: N815 (units belong to the name)
    symmetry: str
    inverted: bool
    symmetry_scores: tuple[Measured, ...]
    symmetry_trial: SymmetryTrial | None


def write_outputs(config: AbinitConfig, dataset: AbinitDataset, state: AbinitState, job: JobFolder) -> AbinitResult:
    """Reconstruct from the final poses and write every file of the job; safe to repeat after a crash."""
    estimates = state.estimates
    assert estimates is not None
    order = _by_evidence(estimates, config.classes)
    klass = torch.argsort(order)[estimates.klass]
    maps = _final_maps(config, dataset, state, estimates, klass)
    classes = tuple(_write_class(config, dataset, state, job, maps, klass.cpu(), k) for k in range(config.classes))
    write_particle_files(job.path, dataset, estimates, klass)
    cross = (
        compare_starts(dataset, state.outcomes, imposed_operators(dataset, state)) if len(state.outcomes) > 1 else None
    )
    _write_c1_maps(dataset, job, state, order)
    trial = state.trial
    assert classes[0].resolution_A is not None
    result = AbinitResult(
        classes=classes,
        verdict=judge_maps(dataset, state, classes[0].resolution_A, cross),
        cross_seed=cross,
        particles=dataset.count,
        diameter_A=dataset.diameter,
        symmetry=config.symmetry if trial is None or trial.imposed else "C1",
        symmetry_scores=() if trial is None else tuple(trial.scores),
        symmetry_trial=trial,
        contrast=dataset.report.grey.contrast,
        inverted=dataset.source.inverted,
        normalisation=dataset.report.grey.normalisation,
        notes=dataset.sentences,
    )
    job.write_result(result)
    if cross is not None:
        with job.atomic("seeds.json") as file:
            file.write_text(json.dumps(plain(as_record(cross)), indent=2) + "\n")
    return result


def _by_evidence(estimates: PoseEstimates, classes: int) -> Int[Tensor, " k"]:
    """Classes by what their particles gain over pure noise in all: large classes first, but junk last."""
    total = torch.zeros(classes, dtype=torch.float64, device=estimates.klass.device)
    # a particle that fits worse than noise does not count against its class
    total.index_add_(0, estimates.klass, estimates.log_evidence.double().clamp_min(0))
    return total.argsort(descending=True, stable=True)


def _final_maps(
    config: AbinitConfig, dataset: AbinitDataset, state: AbinitState, estimates: PoseEstimates, klass: Int[Tensor, " n"]
) -> Maps:
    """Maps from the best pose of every particle, as far out as there is memory for."""
    radius = _inserted_radius(dataset, state)
    band = band_within(dataset.box, radius, state.noise_variance)
    half = dataset.half_set.to(klass.device)
    poses = Poses(estimates.rotation, estimates.shift)
    known = KnownPoses(poses, klass, half, torch.ones(len(klass), device=klass.device))
    everything = torch.arange(len(klass))
    statistics = reconstruct(dataset.source, everything, known, band, config.classes, imposed_operators(dataset, state))
    return on_full_box(maximise(statistics, band.grid, radius, dataset.window(band.grid.size)), dataset.box)


def _inserted_radius(dataset: AbinitDataset, state: AbinitState) -> float:
    """Fourier radius to which images are inserted into the final maps."""
    return min(dataset.box / 2 - 1, max(LARGEST_RADIUS, 1.25 * state.radius))


def _write_class(
    config: AbinitConfig,
    dataset: AbinitDataset,
    state: AbinitState,
    job: JobFolder,
    maps: Maps,
    klass: Int[Tensor, " n"],
    k: int,
) -> ClassRecord:
    files, generator = class_files(k + 1), generator_for(config.seed, PHASES, k)
    radius, window = _inserted_radius(dataset, state), dataset.window(dataset.box)
    volume_and_halves = (maps.volume[k], maps.halves[:, k])
    finished = finish_map(volume_and_halves, dataset.source.pixel_size, radius, generator, window)
    name = f"class {k + 1}"
    write_map_files(job.path, files, finished, f"{name}: half-maps from shared poses")
    count = int((klass == k).sum())
    return ClassRecord(
        name=name,
        map=files.map,
        fsc=f"{files.fsc}.csv",
        particles=count,
        fraction=count / len(klass),
        resolution_A=finished.resolution_A,
    )


def _write_c1_maps(dataset: AbinitDataset, job: JobFolder, state: AbinitState, order: Int[Tensor, " k"]) -> None:
    """The maps that a symmetry was imposed on as they were before it, centred and turned to their axes."""
    if state.c1_maps is None:
        return
    maps = resample(state.c1_maps[order].cpu(), dataset.box)
    for number, volume in enumerate(maps, start=1):
        write_map(job.path / c1_file(number), volume, dataset.source.pixel_size)
