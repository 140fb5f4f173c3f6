"""What a refinement leaves: maps, half-maps, masks, particles, correlations, noise spectra, view directions."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from cryorbit.core.data import Poses
from cryorbit.core.seeds import generator_for
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.particles_writing import Assignments, write_particles
from cryorbit.io.set_aside import write_set_aside
from cryorbit.io.view_directions import write_view_directions
from cryorbit.recipes.compare import read_mask
from cryorbit.recipes.dataset import Dataset
from cryorbit.recipes.map_files import ONLY_MAP, PHASES, MapFiles, class_files, finish_map, write_map_files
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
        Whether the user's mask makes correlation of its own at that resolution.
    limits
        A sentence on what limits the resolution, if the particles do not.
    """

    name: str
    map: str
    fsc: str
    particles: int
    fraction: float
    resolution_A: float  # noqa: N815 (units belong to the name)
    resolution_masked_A: float  # noqa: N815
    mask_too_tight: bool
    limits: list[str]


@dataclass(frozen=True, slots=True)
class RefineResult:
    """What a refinement found, as it stands in ``job.json``."""

    classes: list[RefinedMap]
    diameter_A: float  # noqa: N815 (units belong to the name)
    passes: int
    history_A: list[float]  # noqa: N815
    start: list[dict[str, float]]
    notes: list[str]


def write_outputs(config: RefineConfig, dataset: Dataset, state: State, job: JobFolder) -> RefineResult:
    """Write every file of the job; safe to repeat after a crash."""
    classes = [_write_map(config, dataset, state, job, k) for k in range(len(config.maps))]
    _write_particles(dataset, state, job)
    write_set_aside(job.path / "set_aside.star", dataset.everything, dataset.report)
    _write_noise(dataset, state, job)
    _write_scales(dataset, state, job)
    history = [dataset.extent / radius for radius in state.history]
    notes = [_note(each) for each in classes if each.limits]
    result = RefineResult(
        classes, dataset.diameter, len(history), history, [asdict(each) for each in state.starts], notes
    )
    entry = asdict(result)
    entry["particles"] = {"used": len(dataset.particles), "set_aside": len(dataset.report.set_aside)}
    entry["contrast"], entry["normalisation"] = dataset.report.grey.contrast, dataset.report.grey.normalisation
    entry["notes"] = [*dataset.sentences, *state.start_notes]
    job.record(result=entry)
    return result


def files_of(config: RefineConfig, k: int) -> MapFiles:
    """Names of the files of class ``k``, from 0; a single map needs no number."""
    return ONLY_MAP if len(config.maps) == 1 else class_files(k + 1)


def _write_map(config: RefineConfig, dataset: Dataset, state: State, job: JobFolder, k: int) -> RefinedMap:
    pixel, box, files = dataset.source.pixel_size, dataset.box, files_of(config, k)
    assert state.final is not None
    volume = resample(state.final.volume[k], box)
    halves = torch.stack([resample(half, box) for half in state.final.halves[:, k]])
    mask = None if config.mask is None else read_mask(config.mask, volume, pixel)
    radius, generator = final_radius(config, box, pixel), generator_for(config.seed, PHASES, k)
    finished = finish_map((volume, halves), pixel, radius, generator, dataset.window(box), mask)
    name = "map" if len(config.maps) == 1 else f"class {k + 1}"
    write_map_files(job.path, files, finished, f"{name}: independent half maps")
    assert state.estimates is not None
    mine = state.estimates.klass == k
    count = int(mine.sum())
    write_view_directions(job.path / files.views, state.estimates.rotation[mine], box, pixel, dataset.diameter)
    return RefinedMap(
        name=name,
        map=files.map,
        fsc=f"{files.fsc}.csv",
        particles=count,
        fraction=count / len(dataset.particles),
        resolution_A=finished.resolution_A,
        resolution_masked_A=finished.fsc.resolution(),
        mask_too_tight=mask is not None and finished.fsc.mask_too_tight,
        limits=finished.limits,
    )


def _note(found: RefinedMap) -> str:
    return " ".join([*([] if found.name == "map" else [f"{found.name.capitalize()}:"]), *found.limits])


def _write_particles(dataset: Dataset, state: State, job: JobFolder) -> None:
    estimates = state.estimates
    assert estimates is not None
    assignments = Assignments(
        poses=Poses(estimates.rotation.double().cpu(), estimates.shift.double().cpu()),
        class_number=estimates.klass.cpu() + 1,
        half_set=dataset.half_set + 1,
        max_probability=estimates.max_probability.double().cpu(),
        log_likelihood=estimates.log_evidence.double().cpu(),
        significant=estimates.effective.round().long().clamp_min(1).cpu(),
    )
    write_particles(job.path / "particles.star", dataset.particles, assignments)


def _write_noise(dataset: Dataset, state: State, job: JobFolder) -> None:
    """The noise variance of each shell, of both half-sets."""
    first, second = state.noise_variance.double().cpu().numpy()
    frequency: Float[np.ndarray, " s"] = np.arange(len(first)) / dataset.extent
    table = pd.DataFrame({"frequency_per_A": frequency, "half1": first, "half2": second})
    with job.atomic("noise.csv") as file:
        table.to_csv(file, index=False)


def _write_scales(dataset: Dataset, state: State, job: JobFolder) -> None:
    """The contrast of each group of particles; no file where there are no groups."""
    if state.scale is None or dataset.particles.group is None:
        return
    table = pd.DataFrame({"group": dataset.particles.group.numpy(), "scale": state.scale.cpu().numpy()})
    found = table.groupby("group").agg(particles=("scale", "size"), scale=("scale", "first"))
    with job.atomic("scales.csv") as file:
        found.to_csv(file)
