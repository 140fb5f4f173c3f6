"""What a refinement leaves: maps, half-maps, masks, particles, correlations, noise spectra, view directions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from cryorbit.core.seeds import generator_for
from cryorbit.core.verdict import Verdict
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import ClassRecord, Measured, ParticleCount, Result
from cryorbit.io.view_directions import write_view_directions
from cryorbit.recipes.dataset import Dataset
from cryorbit.recipes.map_files import ONLY_MAP, PHASES, MapFiles, class_files, finish_map, write_map_files
from cryorbit.recipes.masks import read_mask
from cryorbit.recipes.particle_files import write_particle_files
from cryorbit.recipes.refine.config import RefineConfig
from cryorbit.recipes.refine.radii import final_radius
from cryorbit.recipes.refine.state import RandomStart, RefineState, StartFindings
from cryorbit.volumes.voxel import resample


@dataclass(frozen=True, slots=True, kw_only=True)
class RefineResult(Result):
    """What a refinement found.

    Attributes
    ----------
    passes
        Number of passes over all particles.
    history_A
        What the half-maps resolved after each of them, A.
    start
        What the images said of each start map.
    random_start
        What random starts came to, if there was no start map.
    """

    verdict: Verdict
    particles: ParticleCount
    passes: int
    history_A: tuple[Measured, ...]  # noqa: N815 (units belong to the name)
    start: tuple[StartFindings, ...]
    random_start: RandomStart | None = None


def write_outputs(
    config: RefineConfig, dataset: Dataset, state: RefineState, job: JobFolder
) -> tuple[ClassRecord, ...]:
    """Write every file of the job but its record; safe to repeat after a crash."""
    classes = tuple(_write_map(config, dataset, state, job, k) for k in range(config.classes))
    assert state.estimates is not None
    write_particle_files(job.path, dataset, state.estimates, state.estimates.klass)
    _write_noise(dataset, state, job)
    _write_scales(dataset, state, job)
    return classes


def summarise(dataset: Dataset, state: RefineState, classes: tuple[ClassRecord, ...], verdict: Verdict) -> RefineResult:
    """Put together the result of the job."""
    return RefineResult(
        classes=classes,
        verdict=verdict,
        particles=dataset.count,
        diameter_A=dataset.diameter,
        contrast=dataset.report.grey.contrast,
        normalisation=dataset.report.grey.normalisation,
        notes=(*dataset.sentences, *state.start_notes),
        passes=len(state.history),
        history_A=tuple(dataset.extent / radius for radius in state.history),
        start=state.starts,
        random_start=state.random_start,
    )


def files_of(config: RefineConfig, k: int) -> MapFiles:
    """Names of the files of class ``k``, from 0; a single map needs no number."""
    return ONLY_MAP if config.classes == 1 else class_files(k + 1)


def _write_map(config: RefineConfig, dataset: Dataset, state: RefineState, job: JobFolder, k: int) -> ClassRecord:
    pixel, box, files = dataset.source.pixel_size, dataset.box, files_of(config, k)
    assert state.final is not None
    volume = resample(state.final.volume[k], box)
    halves = torch.stack([resample(half, box) for half in state.final.halves[:, k]])
    mask = None if config.mask is None else read_mask(config.mask, volume, pixel)
    radius, generator = final_radius(config, box, pixel), generator_for(config.seed, PHASES, k)
    finished = finish_map((volume, halves), pixel, radius, generator, dataset.window(box), mask)
    name = "map" if config.classes == 1 else f"class {k + 1}"
    write_map_files(job.path, files, finished, f"{name}: independent half-maps")
    assert state.estimates is not None
    of_class = state.estimates.klass == k
    count = int(of_class.sum())
    write_view_directions(job.path / files.views, state.estimates.rotation[of_class], box, pixel, dataset.diameter)
    return ClassRecord(
        name=name,
        map=files.map,
        fsc=f"{files.fsc}.csv",
        particles=count,
        fraction=count / len(dataset.particles),
        resolution_A=finished.resolution_A,
        resolution_masked_A=finished.fsc.resolution(),
        mask_too_tight=mask is not None and finished.fsc.mask_too_tight,
        limits=tuple(finished.limits),
    )


def _write_noise(dataset: Dataset, state: RefineState, job: JobFolder) -> None:
    """The noise variance of each shell, of both half-sets."""
    first, second = state.noise_variance.double().cpu().numpy()
    frequency: Float[np.ndarray, " s"] = np.arange(len(first)) / dataset.extent
    table = pd.DataFrame({"frequency_per_A": frequency, "half1": first, "half2": second})
    with job.atomic("noise.csv") as file:
        table.to_csv(file, index=False)


def _write_scales(dataset: Dataset, state: RefineState, job: JobFolder) -> None:
    """The contrast of each group of particles; no file where there are no groups."""
    if state.scale is None or dataset.particles.group is None:
        return
    table = pd.DataFrame({"group": dataset.particles.group.numpy(), "scale": state.scale.cpu().numpy()})
    groups = table.groupby("group").agg(particles=("scale", "size"), scale=("scale", "first"))
    with job.atomic("scales.csv") as file:
        groups.to_csv(file)
