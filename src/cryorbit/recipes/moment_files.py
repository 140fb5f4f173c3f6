"""What a job on moments leaves: the map, the maps of both halves, the density of views, and how certain they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.seeds import generator_for
from cryorbit.evaluation.align import Alignment, align_maps, correlation
from cryorbit.evaluation.fsc import fsc_curve, resolution_at
from cryorbit.evaluation.rigid_motion import move_map
from cryorbit.io.job_folder import JobFolder
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
class MomentsResult:
    """What was found, as it stands in ``job.json``.

    Attributes
    ----------
    particles
        Number of particles.
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

    particles: int
    resolution_A: float  # noqa: N815 (units belong to the name)
    finest_A: float  # noqa: N815
    eta_px: float
    misfit: float
    density_spread: float
    compared: dict[str, object] | None


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
    agreement = resolution_at(fsc_curve(first, second, pixel_size), 0.5)
    density = problem.model.density.values(solution.density)
    result = MomentsResult(
        len(dataset.particles),
        max(pixel_size / last, agreement),
        pixel_size / last,
        solution.eta,
        problem.misfit(fit.best),
        _spread(problem, density),
        None if other is None else _compared(volume, other, pixel_size),
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
    job.record(result=_record(dataset, result))
    return result


def verdict(result: MomentsResult, doubts: Sequence[str] = ()) -> dict[str, object]:
    """How far the map is to be trusted, and why; ``doubts`` are those of the particles."""
    parts = result.resolution_A / result.finest_A
    fits = result.misfit < LARGEST_MISFIT
    determined = parts < GOOD and fits
    level = "good" if determined and not doubts else "doubtful" if parts < DOUBTFUL and fits else "bad"
    reached = f"to about {result.resolution_A:.0f} A at best"
    sentence = {
        "good": f"The moments determine this map, {reached}.",
        "doubtful": f"The moments determine this map, {reached}, but there is a doubt: read the reasons first."
        if determined
        else f"The moments determine only the coarse form, {reached}.",
        "bad": "The moments do not determine a map: do not rely on this one.",
    }[level]
    reasons = [
        f"Maps of two halves of the particles, found from random starts each, agree to {result.resolution_A:.0f} A "
        f"(FSC 0.5); nothing finer than {result.finest_A:.0f} A was looked for. "
        "What the model lacks is the same in both, so the truth may be less near.",
        f"Fitted moments differ from those of the images by {result.misfit:.1f} standard errors"
        + ("." if fits else ": what was assumed of the images (one structure, CTFs, noise) does not hold."),
    ]
    if result.density_spread < EVEN:
        reasons.append(
            "Views are nearly even, so first and second moments leave the degrees of the volume unturned: "
            "the map rests on third moments, which are the noisiest."
        )
    reasons += doubts
    reasons.append("The hand is not determined by images, and the density of views but for opposite views.")
    return {"level": level, "sentence": sentence, "reasons": reasons}


def _map(problem: RingProblem, solution: RingSolution, box: int) -> Float[Tensor, "n n n"]:
    return to_voxels(problem.model.basis, solution.volume, box).float()


def _spread(problem: RingProblem, density: Float[Tensor, " q"]) -> float:
    weights = problem.model.density.log_weights.exp()
    return float((weights * (density - 1).square()).sum().sqrt())


def _compared(volume: Float[Tensor, "n n n"], other: Float[Tensor, "n n n"], pixel_size: float) -> dict[str, object]:
    found = _superposed(volume, other, pixel_size)
    return {
        "resolution_fsc05_A": resolution_at(fsc_curve(found.aligned, other, pixel_size), 0.5),
        "correlation": correlation(found.aligned, other),
        "hand_flipped": found.hand_flipped,
    }


def _superposed(moving: Float[Tensor, "n n n"], reference: Float[Tensor, "n n n"], pixel_size: float) -> Alignment:
    """A map of low resolution brought onto another: how is found out in a small box, which is fast."""
    box = moving.shape[-1]
    small = min(box, ALIGNMENT_BOX)
    found = align_maps(resample(moving, small), resample(reference, small), pixel_size * box / small)
    aligned = move_map(moving, found.rotation, found.shift_A / pixel_size, mirrored=found.hand_flipped)
    return replace(found, aligned=aligned)


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


def _record(dataset: Dataset, result: MomentsResult) -> dict[str, object]:
    entry = {
        "name": "map",
        "map": ONLY_MAP.map,
        "fsc": f"{ONLY_MAP.fsc}.csv",
        "particles": result.particles,
        "fraction": 1.0,
        "resolution_A": result.resolution_A,
    }
    return {
        **asdict(result),
        "classes": [entry],
        "verdict": verdict(result, dataset.doubts(result.resolution_A)),
        "diameter_A": dataset.diameter,
        "notes": list(dataset.sentences),
        "particles": {"used": result.particles, "set_aside": len(dataset.report.set_aside)},
    }
