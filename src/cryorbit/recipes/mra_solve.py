"""Windowed multireference alignment solved for the signal and the density of shifts, as a job that can be resumed."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from cryorbit.core.bounds import MOST
from cryorbit.core.progress import Progress
from cryorbit.core.seeds import generator_for
from cryorbit.evaluation.mra import signal_error
from cryorbit.inference.mra import MRAOracle, start_unknown
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import Measured
from cryorbit.io.mra_files import MRAFile, read_observations, write_arrays
from cryorbit.optim.minimise import Ending, Stop, find_ending, find_interventions
from cryorbit.optim.safeguards import Interventions
from cryorbit.optim.stretches import Position, Stretches
from cryorbit.recipes.method_course import MethodCourse, restored
from cryorbit.recipes.method_settings import MethodChoice
from cryorbit.recipes.settings import Gigabytes, JobSettings
from cryorbit.recipes.stage_loop import OVER, Stages, go_through

SOLUTION, COURSE = "solution.npz", "trace.csv"
CHECKPOINT_SECONDS = 1.0
"""Epochs take milliseconds: a checkpoint after every one would take longer than they do."""


class SolveMRAConfig(MethodChoice, JobSettings):
    """Settings of a solution."""

    observations: Path = Field(description="File of observations (.npz).")
    method: str = Field("sem-vr-quasi-newton", description="Optimiser by name, or module:Class for one of your own.")
    settings: dict[str, Any] = Field(default_factory=dict, description="Settings of the optimiser. Default: its own.")
    tolerance: float = Field(
        1e-12, ge=0, le=MOST, description="Difference of the objective between epochs below which the job stops."
    )
    passes: float = Field(2000.0, gt=0, le=MOST, description="Largest number of cost-weighted epochs.")
    memory: Gigabytes | None = Field(
        None, description="Memory that the job may use, GB. Default: 70 % of what is free."
    )


@dataclass(frozen=True, slots=True)
class ObjectivePoint:
    """A point of the course, and a row of its file: cost-weighted epochs, seconds of work, objective."""

    passes: float
    seconds: float
    objective: float


@dataclass(frozen=True, slots=True)
class SolveMRAResult:
    """What was found, as it stands in ``job.json``; the error of the signal is None where the truth is not known."""

    ending: Ending
    log_likelihood: Measured
    passes: Measured
    seconds: Measured
    interventions: Interventions | None
    signal_error: float | None


def run(config: SolveMRAConfig, job: JobFolder, progress: Progress) -> SolveMRAResult:
    """Solve from a random signal and the uniform density; continues from the job's checkpoint if it has one.

    Raises
    ------
    InputError
        The observations cannot be read, or the method or one of its settings is not known.
    Stopped
        The job was asked to stop; its checkpoint holds everything done so far.
    """
    method = config.make_method(config.method, config.settings)
    observations = read_observations(config.observations)
    oracle = MRAOracle.of(observations.data.to(config.device), observations.length, observations.sigma)
    stretches = Stretches(oracle, method, config.seed, parts=1)
    start = start_unknown(random_signal(observations, config.seed).to(config.device))
    stages: Stages[MethodCourse[ObjectivePoint]] = Stages(
        iterations={"solve": partial(_advance, config, oracle, stretches)},
        describe=lambda _: "multireference alignment",
        planned=lambda _: round(config.passes),
        restore=lambda packed: restored(packed, method, start, ObjectivePoint),
        checkpoint_seconds=CHECKPOINT_SECONDS,
    )
    course = go_through(stages, lambda: _begin(oracle, stretches, start), job, progress)
    return write_outputs(config, observations, course, job)


def _begin(oracle: MRAOracle, stretches: Stretches, start: Float[Tensor, "c n"]) -> MethodCourse[ObjectivePoint]:
    position = stretches.begin(start)
    return MethodCourse("solve", position, (measure(oracle, position, 0.0),))


def _advance(
    config: SolveMRAConfig, oracle: MRAOracle, stretches: Stretches, state: MethodCourse[ObjectivePoint]
) -> tuple[MethodCourse[ObjectivePoint], dict[str, Any]]:
    """One epoch."""
    began = time.monotonic()
    position = stretches.advance(state.position)
    point = measure(oracle, position, 0.0)
    point = replace(point, seconds=state.points[-1].seconds + time.monotonic() - began)
    points = (*state.points, point)
    stage = "solve" if judge(points, config) is None else OVER
    return MethodCourse(stage, position, points), {"log_likelihood": -point.objective, "passes": point.passes}


def random_signal(observations: MRAFile, seed: int) -> Float[Tensor, "c n"]:
    """The start: a random signal of norm 1."""
    shape = observations.data.shape[1], observations.length
    signal = torch.randn(shape, generator=generator_for(seed, "start signal"), dtype=torch.float64)
    return signal / signal.norm()


def measure(oracle: MRAOracle, position: Position, seconds: float) -> ObjectivePoint:
    """Where the method stands; this evaluation of the objective is not counted."""
    value = float(oracle.evaluate(position.x, None).value)
    return ObjectivePoint(position.evaluations / oracle.num_terms, seconds, value)


def judge(course: Sequence[ObjectivePoint], config: SolveMRAConfig) -> Ending | None:
    """Why the course is over; None if it is not."""
    values, last = [point.objective for point in course], course[-1]
    return find_ending(values, last.passes, last.seconds, Stop(config.tolerance, config.passes))


def write_outputs(
    config: SolveMRAConfig, observations: MRAFile, course: MethodCourse[ObjectivePoint], job: JobFolder
) -> SolveMRAResult:
    """Write the solution, the course and the result; safe to repeat after a crash."""
    unknown = course.position.x.cpu()
    write_arrays(job.path / SOLUTION, {"signal": unknown[:-1], "density": unknown[-1].softmax(0)})
    with job.atomic(COURSE) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(ObjectivePoint)])
        writer.writeheader()
        writer.writerows(asdict(point) for point in course.points)
    ending, last = judge(course.points, config), course.points[-1]
    assert ending is not None
    result = SolveMRAResult(
        ending=ending,
        log_likelihood=-last.objective,
        passes=last.passes,
        seconds=last.seconds,
        interventions=find_interventions(course.position.state),
        signal_error=None if observations.signal is None else signal_error(unknown[:-1], observations.signal),
    )
    job.write_result(result)
    return result
