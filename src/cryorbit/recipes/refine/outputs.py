"""What a refinement leaves: maps, half-maps, masks, particles, correlations, noise spectra, view directions."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from cryorbit.core.data import Poses
from cryorbit.core.seeds import generator_for
from cryorbit.evaluation.corrected_fsc import corrected_fsc
from cryorbit.evaluation.fsc import fsc_curve, resolution_at
from cryorbit.evaluation.solvent_mask import outline_resolution, solvent_mask
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.particles_writing import Assignments, write_particles
from cryorbit.io.set_aside import write_set_aside
from cryorbit.io.view_directions import write_view_directions
from cryorbit.recipes.compare import read_mask
from cryorbit.recipes.map_files import ONLY_MAP, FinishedMap, MapFiles, class_files, write_map_files
from cryorbit.recipes.particle_input import ParticleInput
from cryorbit.recipes.refine.config import RefineConfig
from cryorbit.recipes.refine.radii import final_radius
from cryorbit.recipes.refine.state import State
from cryorbit.volumes.voxel import resample


@dataclass(frozen=True, slots=True)
class RefinedMap:
    """One refined map: its file, its particles, and its resolutions (half maps, 0.143), A.

    Attributes
    ----------
    name, map, fsc
        What the report calls it, and its files.
    particles, fraction
        Particles that are most likely of this class.
    resolution_A, resolution_masked_A
        As the half maps are, and within the mask, corrected for the mask.
    mask_too_tight
        Whether the mask makes correlation of its own at that resolution.
    """

    name: str
    map: str
    fsc: str
    particles: int
    fraction: float
    resolution_A: float  # noqa: N815 (units belong to the name)
    resolution_masked_A: float  # noqa: N815
    mask_too_tight: bool


@dataclass(frozen=True, slots=True)
class RefineResult:
    """What a refinement found, as it stands in ``job.json``."""

    classes: list[RefinedMap]
    diameter_A: float  # noqa: N815 (units belong to the name)
    passes: int
    history_A: list[float]  # noqa: N815
    start: list[dict[str, float]]


def write_outputs(config: RefineConfig, given: ParticleInput, state: State, job: JobFolder) -> RefineResult:
    """Write every file of the job; safe to repeat after a crash."""
    classes = [_write_map(config, given, state, job, k) for k in range(len(config.maps))]
    _write_particles(given, state, job)
    write_set_aside(job.path / "set_aside.star", given.everything, given.report)
    _write_noise(given, state, job)
    _write_scales(given, state, job)
    history = [given.extent / radius for radius in state.history]
    result = RefineResult(classes, given.diameter, len(history), history, state.extra["start"])
    entry = asdict(result)
    entry["particles"] = {"used": len(given.particles), "set_aside": len(given.report.set_aside)}
    entry["contrast"], entry["normalisation"] = given.report.contrast, given.report.normalisation
    entry["notes"] = given.report.notes
    job.record(result=entry)
    return result


def files_of(config: RefineConfig, k: int) -> MapFiles:
    """Names of the files of class ``k``, from 0; a single map needs no number."""
    return ONLY_MAP if len(config.maps) == 1 else class_files(k + 1)


def _write_map(config: RefineConfig, given: ParticleInput, state: State, job: JobFolder, k: int) -> RefinedMap:
    pixel, box, files = given.source.pixel_size, given.box, files_of(config, k)
    volume = resample(state.extra["volume"][k], box).cpu()
    halves = torch.stack([resample(half, box).cpu() for half in state.extra["halves"][:, k]])
    unmasked = fsc_curve(halves[0], halves[1], pixel)
    if config.mask is not None:
        mask = read_mask(config.mask, volume, pixel)
    else:
        resolution = outline_resolution(resolution_at(unmasked, 0.143))
        mask = solvent_mask(volume, pixel, resolution, window=given.window(box).cpu())
    name = "map" if len(config.maps) == 1 else f"class {k + 1}"
    finished = FinishedMap(volume, halves, mask, pixel, final_radius(config, box, pixel))
    write_map_files(job.path, files, finished, f"{name}: independent half maps")
    corrected = corrected_fsc(halves[0], halves[1], pixel, mask, generator_for(config.seed, 12, k))
    assert state.estimates is not None
    mine = state.estimates.klass == k
    count = int(mine.sum())
    write_view_directions(job.path / files.views, state.estimates.rotation[mine], box, pixel, given.diameter)
    return RefinedMap(
        name=name,
        map=files.map,
        fsc=f"{files.fsc}.csv",
        particles=count,
        fraction=count / len(given.particles),
        resolution_A=resolution_at(unmasked, 0.143),
        resolution_masked_A=corrected.resolution(),
        mask_too_tight=corrected.mask_too_tight,
    )


def _write_particles(given: ParticleInput, state: State, job: JobFolder) -> None:
    estimates = state.estimates
    assert estimates is not None
    assignments = Assignments(
        poses=Poses(estimates.rotation.double().cpu(), estimates.shift.double().cpu()),
        class_number=estimates.klass.cpu() + 1,
        half_set=given.half_set + 1,
        max_probability=estimates.max_probability.double().cpu(),
        log_likelihood=estimates.log_evidence.double().cpu(),
        significant=estimates.effective.round().long().clamp_min(1).cpu(),
    )
    write_particles(job.path / "particles.star", given.particles, assignments)


def _write_noise(given: ParticleInput, state: State, job: JobFolder) -> None:
    """The noise variance of each shell, of both half-sets."""
    first, second = state.noise_variance.double().cpu().numpy()
    frequency: Float[np.ndarray, " s"] = np.arange(len(first)) / given.extent
    table = pd.DataFrame({"frequency_per_A": frequency, "half1": first, "half2": second})
    with job.atomic("noise.csv") as file:
        table.to_csv(file, index=False)


def _write_scales(given: ParticleInput, state: State, job: JobFolder) -> None:
    """The contrast of each group of particles; no file where there are no groups."""
    if state.scale is None or given.particles.group is None:
        return
    table = pd.DataFrame({"group": given.particles.group.numpy(), "scale": state.scale.cpu().numpy()})
    found = table.groupby("group").agg(particles=("scale", "size"), scale=("scale", "first"))
    with job.atomic("scales.csv") as file:
        found.to_csv(file)
