"""Windowed multireference alignment solved for the signal and the density of shifts, as a job that can be resumed."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from cryorbit.core.bounds import MOST
from cryorbit.core.progress import Progress, Stopped
from cryorbit.core.seeds import generator_for
from cryorbit.evaluation.mra import signal_error
from cryorbit.inference.mra import MRAOracle, start_unknown
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import Measured
from cryorbit.io.mra_files import MRAFile, read_observations, write_arrays
from cryorbit.optim.minimise import Ending, Stop, find_ending, find_interventions
from cryorbit.optim.safeguards import Interventions
from cryorbit.optim.stretches import Position, Stretches, pack_position, unpack_position
from cryorbit.recipes.method_settings import MethodChoice
from cryorbit.recipes.settings import Gigabytes, JobSettings

SOLUTION, COURSE = "solution.npz", "trace.csv"
CHECKPOINT_SECONDS = 1.0
"""Epochs take milliseconds: a checkpoint after every one would take longer than they do."""


class SolveMRAConfig(MethodChoice, JobSettings):
    """Settings of a solution."""

    observations: Path = Field(description="File of observations (.npz).")
    method: str = Field("sem-vr-quasi-newton", description="Optimiser by name, or module:Class.")
    settings: dict[str, Any] = Field(default_factory=dict, description="Settings of the optimiser.")
    tolerance: float = Field(1e-12, ge=0, le=MOST, description="Difference of the objective between epochs to stop at.")
    passes: float = Field(2000.0, gt=0, le=MOST, description="Cost-weighted epochs after which to give up.")
    memory: Gigabytes | None = Field(None, description="GB that the process may take. None: 70 % of what is free.")


@dataclass(frozen=True, slots=True)
class Point:
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
    checkpoint = job.load_checkpoint()
    if checkpoint is None:
        position = stretches.begin(start)
        course = [look(oracle, position, 0.0)]
    else:
        position = unpack_position(checkpoint["position"], method, start)
        course = [Point(**entry) for entry in checkpoint["course"]]
    job.truncate_metrics(len(course) - 1)
    progress.start(round(config.passes), "multireference alignment")
    saved = time.monotonic()
    began, ending = saved - course[-1].seconds, None
    while ending is None:
        position = stretches.advance(position)
        course.append(look(oracle, position, time.monotonic() - began))
        _note(job, course, progress)
        ending = judge(course, config)
        asked = progress.stop_requested()
        if ending is None and (asked or time.monotonic() - saved > CHECKPOINT_SECONDS):
            packed = {"position": pack_position(position), "course": [asdict(point) for point in course]}
            job.save_checkpoint(packed)
            saved = time.monotonic()
            if asked:
                raise Stopped
    return write_outputs(observations, position, course, ending, job)


def random_signal(observations: MRAFile, seed: int) -> Float[Tensor, "c n"]:
    """The start: a random signal of norm 1."""
    shape = observations.data.shape[1], observations.length
    signal = torch.randn(shape, generator=generator_for(seed, "start signal"), dtype=torch.float64)
    return signal / signal.norm()


def look(oracle: MRAOracle, position: Position, seconds: float) -> Point:
    """Where the method stands; this evaluation of the objective is not counted."""
    value = float(oracle.evaluate(position.x, None).value)
    return Point(position.evaluations / oracle.num_terms, seconds, value)


def judge(course: Sequence[Point], config: SolveMRAConfig) -> Ending | None:
    """Why the course is over; None if it is not."""
    values, last = [point.objective for point in course], course[-1]
    return find_ending(values, last.passes, last.seconds, Stop(config.tolerance, config.passes))


def write_outputs(
    observations: MRAFile, position: Position, course: Sequence[Point], ending: Ending, job: JobFolder
) -> SolveMRAResult:
    """Write the solution, the course and the result; safe to repeat after a crash."""
    unknown = position.x.cpu()
    write_arrays(job.path / SOLUTION, {"signal": unknown[:-1], "density": unknown[-1].softmax(0)})
    with job.atomic(COURSE) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Point)])
        writer.writeheader()
        writer.writerows(asdict(point) for point in course)
    count, last = find_interventions(position.state), course[-1]
    result = SolveMRAResult(
        ending=ending,
        log_likelihood=-last.objective,
        passes=last.passes,
        seconds=last.seconds,
        interventions=count,
        signal_error=None if observations.signal is None else signal_error(unknown[:-1], observations.signal),
    )
    job.write_result(result)
    return result


def _note(job: JobFolder, course: Sequence[Point], progress: Progress) -> None:
    """A line of metrics, and a step of progress."""
    point = course[-1]
    job.write_metrics({"iteration": len(course) - 1, "log_likelihood": -point.objective, "passes": point.passes})
    progress.advance(log_likelihood=-point.objective, passes=point.passes)
