"""What a job on moments leaves: the map, the maps of both halves, the density of views, and how certain they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.seeds import generator_for
from cryorbit.core.verdict import Verdict
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import ClassRecord, Measured, ParticleCount, Result
from cryorbit.io.particles_writing import Assignments, write_particles
from cryorbit.io.set_aside import write_set_aside
from cryorbit.moments.determinacy import Determinacy
from cryorbit.moments.view_density import ViewDensity
from cryorbit.recipes.dataset import Dataset
from cryorbit.recipes.map_files import ONLY_MAP, PHASES, finish_map, write_map_files
from cryorbit.recipes.moments.fitted_maps import FittedMaps
from cryorbit.recipes.moments.inversion import Inversion
from cryorbit.recipes.moments.repeats import compare_repeats
from cryorbit.recipes.moments.verdict import MomentEvidence, judge

DENSITY, SPREAD = "density.csv", "spread.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentsResult(Result):
    """What was found.

    Attributes
    ----------
    resolution_A
        Where the maps of both halves, superposed, correlate by 0.5, A.
    finest_A
        Detail up to which the map was made, A.
    eta_px
        Standard deviation of the shifts along each axis, pixels.
    misfit
        Root mean square difference of fitted from estimated moments, in standard errors.
    density_spread
        Standard deviation of the density of views over the sphere, over its mean.
    determinacy
        How many combinations of the map's coefficients the moments determine.
    agreeing_starts, starts
        Random starts whose fits of the inner rings agree with the map, and all of them.
    """

    verdict: Verdict
    particles: ParticleCount
    diameter_A: float  # noqa: N815 (units belong to the name)
    symmetry: str
    inverted: bool
    resolution_A: Measured  # noqa: N815
    finest_A: Measured  # noqa: N815
    eta_px: Measured
    misfit: Measured
    density_spread: Measured
    determinacy: Determinacy
    agreeing_starts: int
    starts: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Another map on the grid of the images, and the name of its file."""

    volume: Float[Tensor, "n n n"]
    name: str


def write_outputs(job: JobFolder, dataset: Dataset, inversion: Inversion, other: Comparison | None) -> MomentsResult:
    """Write every file of the job and its record; safe to repeat after a crash."""
    maps = FittedMaps.of(inversion, dataset.box, dataset.source.pixel_size)
    repeats = compare_repeats(inversion, dataset.extent, maps.finest_A)
    problem, best = inversion.everything.problem, inversion.everything.fits[0].parameters
    solution, family = inversion.everything.solutions[0], problem.model.density
    density = family.values(solution.density)
    evidence = MomentEvidence(
        resolution_A=maps.resolution_A,
        finest_A=maps.finest_A,
        misfit=problem.misfit(best),
        density_spread=_spread(family, density),
        determinacy=problem.determinacy(best),
        agreeing_starts=repeats.agreeing,
        starts=repeats.starts,
        compared=None if other is None else maps.compare(other.volume, other.name),
        doubts=dataset.doubts(maps.resolution_A),
    )
    _write_maps(job, dataset, maps)
    _write_table(job, DENSITY, _density_table(family, density))
    _write_table(job, SPREAD, {"frequency_per_A": repeats.frequency_per_A, **repeats.spreads})
    write_particles(job.path / "particles.star", dataset.particles, Assignments(half_set=dataset.half_set + 1))
    write_set_aside(job.path / "set_aside.star", dataset.everything, dataset.report)
    result = _result(dataset, evidence, solution.eta)
    job.write_result(result)
    return result


def _result(dataset: Dataset, evidence: MomentEvidence, eta_px: float) -> MomentsResult:
    return MomentsResult(
        classes=(_class_record(evidence.resolution_A, len(dataset.particles)),),
        verdict=judge(evidence),
        particles=dataset.count,
        diameter_A=dataset.diameter,
        symmetry="C1",
        contrast=dataset.report.grey.contrast,
        inverted=dataset.source.inverted,
        normalisation=dataset.report.grey.normalisation,
        notes=dataset.sentences,
        compared=evidence.compared,
        resolution_A=evidence.resolution_A,
        finest_A=evidence.finest_A,
        eta_px=eta_px,
        misfit=evidence.misfit,
        density_spread=evidence.density_spread,
        determinacy=evidence.determinacy,
        agreeing_starts=evidence.agreeing_starts,
        starts=evidence.starts,
    )


def _class_record(resolution_A: float, particles: int) -> ClassRecord:
    return ClassRecord(
        name="map",
        map=ONLY_MAP.map,
        fsc=f"{ONLY_MAP.fsc}.csv",
        particles=particles,
        fraction=1.0,
        resolution_A=resolution_A,
    )


def _write_maps(job: JobFolder, dataset: Dataset, maps: FittedMaps) -> None:
    finished = finish_map(
        (maps.volume, maps.halves),
        maps.pixel_size,
        maps.last_ring,
        generator_for(0, PHASES),
        dataset.window(dataset.box),
    )
    write_map_files(job.path, ONLY_MAP, finished, "maps of both halves from moments")


def _spread(family: ViewDensity, density: Float[Tensor, " q"]) -> float:
    return float((family.log_weights.exp() * (density - 1).square()).sum().sqrt())


def _density_table(family: ViewDensity, density: Float[Tensor, " q"]) -> dict[str, Float[Tensor, " q"]]:
    """The density at the nodes: direction, share of the sphere, density relative to an even one."""
    x, y, z = family.directions.unbind(1)
    return {
        "rot_deg": torch.rad2deg(torch.atan2(y, x)),
        "tilt_deg": torch.rad2deg(torch.atan2(torch.hypot(x, y), z)),
        "weight": family.log_weights.exp(),
        "density": density,
    }


def _write_table(job: JobFolder, name: str, columns: Mapping[str, Float[Tensor, " q"]]) -> None:
    with job.atomic(name) as file:
        pd.DataFrame({label: column.numpy() for label, column in columns.items()}).to_csv(file, index=False)
