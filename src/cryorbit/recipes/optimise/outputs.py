"""What an optimisation leaves: the map at the resolution that was scored, and the course of the held-out likelihood."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.io.atomic import atomic_path
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import ClassRecord, Measured, Result
from cryorbit.io.mrc import write_map
from cryorbit.io.set_aside import write_set_aside
from cryorbit.recipes.dataset import Dataset
from cryorbit.recipes.method_course import MethodCourse
from cryorbit.recipes.optimise.config import OptimiseConfig
from cryorbit.recipes.optimise.course import HeldOutPoint
from cryorbit.recipes.optimise.problem import OptimiseProblem
from cryorbit.recipes.optimise.verdict import judge
from cryorbit.volumes.voxel import resample

MAP, COURSE = "map.mrc", "course.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimiseResult(Result):
    """What a method reached.

    Attributes
    ----------
    method
        Its name.
    held_out_start, held_out_end
        Mean negative log-likelihood of held-out particles relative to pure noise, nats.
    evaluations, epochs
        Gradients of single images.
    nodes
        Poses summed over for each of them.
    scored_to_A
        Finest detail that was scored.
    """

    method: str
    held_out_start: Measured
    held_out_end: Measured
    evaluations: int
    epochs: Measured
    nodes: int
    scored_to_A: Measured  # noqa: N815 (units belong to the name)


def write_outputs(
    config: OptimiseConfig,
    dataset: Dataset,
    problem: OptimiseProblem,
    course: MethodCourse[HeldOutPoint],
    job: JobFolder,
) -> OptimiseResult:
    """Write every file of the job; safe to repeat after a crash."""
    radius, terms = problem.oracle.model.operator.disc.radius, problem.oracle.num_terms
    density = within_radius(problem.oracle.model.density(course.position.x), radius)
    write_map(job.path / MAP, resample(density, dataset.box).cpu(), dataset.source.pixel_size)
    write_course(job.path / COURSE, course.points)
    write_set_aside(job.path / "set_aside.star", dataset.everything, dataset.report)
    first, last = course.points[0], course.points[-1]
    result = OptimiseResult(
        # nothing here measures a resolution: there are no half maps
        classes=(ClassRecord(name="map", map=MAP, particles=terms, fraction=terms / len(dataset.source)),),
        contrast=dataset.report.grey.contrast,
        verdict=judge(
            course.points,
            dataset.extent / radius,
            random_start=config.start is None,
            doubts=dataset.pose_doubts(dataset.extent / radius),
        ),
        notes=dataset.sentences,
        method=config.method,
        held_out_start=first.held_out,
        held_out_end=last.held_out,
        evaluations=last.evaluations,
        epochs=last.epochs,
        nodes=problem.oracle.model.quadrature.count,
        scored_to_A=dataset.extent / radius,
    )
    job.write_result(result)
    return result


def within_radius(density: Float[Tensor, "n n n"], radius: float) -> Float[Tensor, "n n n"]:
    """The density without the corners of its transform, which no image has a say in."""
    size = density.shape[-1]
    axis = torch.fft.fftfreq(size, 1 / size, device=density.device)
    half = torch.arange(size // 2 + 1, device=density.device)
    inside = axis[:, None, None] ** 2 + axis[:, None] ** 2 + half**2 <= radius**2
    return torch.fft.irfftn(torch.fft.rfftn(density) * inside, s=density.shape)


def write_course(path: Path, course: Sequence[HeldOutPoint]) -> None:
    """Write a row a point."""
    with atomic_path(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(HeldOutPoint)])
        writer.writeheader()
        writer.writerows(asdict(point) for point in course)
