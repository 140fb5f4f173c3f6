"""What a job on moments leaves: the map, the maps of both halves, the density of views, and how certain they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.seeds import generator_for
from cryorbit.core.verdict import Remark, Verdict, weigh
from cryorbit.evaluation.align import Alignment, align_maps, correlation
from cryorbit.evaluation.fsc import fsc_curve, resolution_at
from cryorbit.evaluation.rigid_motion import move_map
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import ClassRecord, Measured, Result
from cryorbit.io.particles_writing import Assignments, write_particles
from cryorbit.io.set_aside import write_set_aside
from cryorbit.moments.ring_fit import RingProblem, RingSolution
from cryorbit.recipes.dataset import Dataset
from cryorbit.recipes.map_files import ONLY_MAP, PHASES, finish_map, write_map_files
from cryorbit.volumes.bessel_voxels import to_voxels
from cryorbit.volumes.voxel import resample

DENSITY = "density.csv"
ALIGNMENT_BOX = 32
"""Box in which maps are superposed; more than twice as many pixels as rings are used."""
GOOD, DOUBTFUL = 1.6, 3.0
"""Resolution of the agreement of the halves, over the finest detail of the map, up to which a verdict is given."""
LARGEST_MISFIT = 3.0
"""Misfit, in standard errors, from which the model does not hold."""
EVEN = 0.3
"""Standard deviation of the density, over its mean, below which views count as even."""


@dataclass(frozen=True, slots=True)
class MomentFit:
    """Fits of moments.

    Attributes
    ----------
    problem
        The one of all particles.
    best
        Its solution.
    halves
        Solutions of both halves of the particles, found apart.
    """

    problem: RingProblem
    best: Float[Tensor, " p"]
    halves: tuple[Float[Tensor, " p"], Float[Tensor, " p"]]


@dataclass(frozen=True, slots=True)
class OtherMap:
    """Agreement with another map.

    Attributes
    ----------
    resolution_fsc05_A
        Where the two, superposed, correlate by 0.5, A.
    correlation
        Correlation coefficient of the two.
    hand_flipped
        Whether this map was mirrored.
    """

    resolution_fsc05_A: Measured  # noqa: N815 (units belong to the name)
    correlation: Measured
    hand_flipped: bool


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
    compared
        Agreement with the other map, if one was given.
    """

    resolution_A: Measured  # noqa: N815 (units belong to the name)
    finest_A: Measured  # noqa: N815
    eta_px: Measured
    misfit: Measured
    density_spread: Measured
    compared: OtherMap | None


def write_moment_job(
    job: JobFolder, dataset: Dataset, fit: MomentFit, other: Float[Tensor, "n n n"] | None
) -> MomentsResult:
    """Write every file of the job and its record."""
    problem, pixel_size = fit.problem, dataset.source.pixel_size
    solution = problem.read(fit.best)
    last = float(problem.model.blur.frequencies[-1].sqrt()) / (2 * torch.pi)
    volume, *halves = (_map(problem, problem.read(each), dataset.box) for each in (fit.best, *fit.halves))
    first = _superposed(halves[0], volume, pixel_size).aligned
    second = _superposed(halves[1], first, pixel_size).aligned
    density = problem.model.density.values(solution.density)
    finest = pixel_size / last
    resolution = max(finest, resolution_at(fsc_curve(first, second, pixel_size), 0.5))
    misfit, spread = problem.misfit(fit.best), _spread(problem, density)
    result = MomentsResult(
        classes=(_class_record(resolution, len(dataset.particles)),),
        verdict=judge(resolution, finest, misfit, spread, dataset.doubts(resolution)),
        particles=dataset.count,
        diameter_A=dataset.diameter,
        notes=dataset.sentences,
        resolution_A=resolution,
        finest_A=finest,
        eta_px=solution.eta,
        misfit=misfit,
        density_spread=spread,
        compared=None if other is None else _compared(volume, other, pixel_size),
    )
    _write_density(job, problem, density)
    finished = finish_map(
        (volume, torch.stack([first, second])),
        pixel_size,
        last * dataset.box,
        generator_for(0, PHASES),
        dataset.window(dataset.box),
    )
    write_map_files(job.path, ONLY_MAP, finished, "maps of both halves from moments")
    write_particles(job.path / "particles.star", dataset.particles, Assignments(half_set=dataset.half_set + 1))
    write_set_aside(job.path / "set_aside.star", dataset.everything, dataset.report)
    job.write_result(result)
    return result


def judge(
    resolution_A: float, finest_A: float, misfit: float, density_spread: float, doubts: Sequence[str] = ()
) -> Verdict:
    """How far the map is to be trusted, and why, by numbers of `MomentsResult` and doubts about the particles."""
    parts, fits = resolution_A / finest_A, misfit < LARGEST_MISFIT
    agreement = (
        f"Maps of two halves of the particles, found from random starts each, agree to {resolution_A:.0f} Å "
        f"(FSC 0.5); nothing finer than {finest_A:.0f} Å was looked for. "
        "What the model lacks is the same in both, so the truth may be less near."
    )
    difference = f"Fitted moments differ from those of the images by {misfit:.1f} standard errors"
    wrong = "what was assumed of the images (one structure, CTFs, noise) does not hold"
    even_views = (
        "Views are nearly even, so first and second moments leave the degrees of the volume unturned: "
        "the map rests on third moments, which are the noisiest."
    )
    free = "The hand is not determined by images, and the density of views but for opposite views."
    remarks = [
        Remark("good" if parts < GOOD else "doubtful" if parts < DOUBTFUL else "bad", "", agreement),
        Remark("good", "", f"{difference}.") if fits else Remark("bad", "", f"{difference}: {wrong}."),
        *([Remark("good", "", even_views)] if density_spread < EVEN else []),
        *(Remark("doubtful", "", doubt) for doubt in doubts),
        Remark("good", "", free),
    ]
    sentences = {
        "good": f"The moments determine this map, to about {resolution_A:.0f} Å at best.",
        "doubtful": f"The moments determine only the coarse form, to about {resolution_A:.0f} Å at best."
        if parts >= GOOD
        else f"The moments determine this map, to about {resolution_A:.0f} Å at best, but there is a doubt: read the "
        "reasons first.",
        "bad": "The moments do not determine a map: do not rely on this one.",
    }
    return weigh(remarks, lambda level, _: sentences[level])


def _class_record(resolution_A: float, particles: int) -> ClassRecord:
    return ClassRecord(
        name="map",
        map=ONLY_MAP.map,
        fsc=f"{ONLY_MAP.fsc}.csv",
        particles=particles,
        fraction=1.0,
        resolution_A=resolution_A,
    )


def _map(problem: RingProblem, solution: RingSolution, box: int) -> Float[Tensor, "n n n"]:
    return to_voxels(problem.model.basis, solution.volume, box).float()


def _spread(problem: RingProblem, density: Float[Tensor, " q"]) -> float:
    weights = problem.model.density.log_weights.exp()
    return float((weights * (density - 1).square()).sum().sqrt())


def _compared(volume: Float[Tensor, "n n n"], other: Float[Tensor, "n n n"], pixel_size: float) -> OtherMap:
    alignment = _superposed(volume, other, pixel_size)
    return OtherMap(
        resolution_fsc05_A=resolution_at(fsc_curve(alignment.aligned, other, pixel_size), 0.5),
        correlation=correlation(alignment.aligned, other),
        hand_flipped=alignment.hand_flipped,
    )


def _superposed(moving: Float[Tensor, "n n n"], reference: Float[Tensor, "n n n"], pixel_size: float) -> Alignment:
    """A map of low resolution brought onto another: how is found out in a small box, which is fast."""
    box = moving.shape[-1]
    small = min(box, ALIGNMENT_BOX)
    alignment = align_maps(resample(moving, small), resample(reference, small), pixel_size * box / small)
    aligned = move_map(moving, alignment.rotation, alignment.shift_A / pixel_size, mirrored=alignment.hand_flipped)
    return replace(alignment, aligned=aligned)


def _write_density(job: JobFolder, problem: RingProblem, density: Float[Tensor, " q"]) -> None:
    """The density at the nodes: direction, share of the sphere, density relative to an even one."""
    x, y, z = problem.model.density.directions.unbind(1)
    table = {
        "rot_deg": torch.rad2deg(torch.atan2(y, x)),
        "tilt_deg": torch.rad2deg(torch.atan2(torch.hypot(x, y), z)),
        "weight": problem.model.density.log_weights.exp(),
        "density": density,
    }
    with job.atomic(DENSITY) as file:
        pd.DataFrame({name: column.numpy() for name, column in table.items()}).to_csv(file, index=False)
