"""Multireference alignment by the method of moments: one pass over the observations, then the moments inverted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from cryorbit.core.bounds import MOST
from cryorbit.core.chunks import chunks
from cryorbit.core.errors import InputError
from cryorbit.core.progress import Progress, Stopped
from cryorbit.core.seeds import generator_for
from cryorbit.evaluation.mra import signal_error
from cryorbit.imaging.windowed_shifts import WindowedShifts
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import Measured
from cryorbit.io.mra_files import read_observations, write_arrays
from cryorbit.moments.empirical import MomentSums, add_up
from cryorbit.moments.fit import Target, best_of
from cryorbit.moments.losses import relative_errors
from cryorbit.moments.mra_fit import MRAProblem, MRASolution
from cryorbit.moments.mra_networks import refine
from cryorbit.moments.pair import Moments
from cryorbit.recipes.mra_training import read_encoders
from cryorbit.recipes.settings import JobSettings

SOLUTION, MOMENTS = "solution.npz", "moments.npz"
CHUNK = 8192
SIGNIFICANT = 4.0
"""Standard errors by which the power of a frequency must stand out for the spectral start."""
REFINEMENT_RATES = (1e-3, 1e-5)


class MomentsMRAConfig(JobSettings):
    """Settings of a solution from moments."""

    observations: Path = Field(description="File of observations (.npz).")
    starts: int = Field(8, ge=0, le=MOST, description="Number of random starts in addition to the spectral one.")
    encoders: Path | None = Field(
        None, description="Folder of trained encoders, whose output is one more start. Default: none."
    )
    refinement_steps: int = Field(
        300, ge=0, le=MOST, description="Steps by which the encoders are refined on the moments."
    )


@dataclass(frozen=True, slots=True)
class MomentsMRAResult:
    """What was found.

    Attributes
    ----------
    start
        Which was the best: "classical" (spectral or random) or "encoders".
    first_moment_error, second_moment_error
        Relative errors of the fitted moments.
    residual
        Root mean square difference of the fitted moments from the estimates, in standard errors; 1 is noise.
    signal_error
        Relative error of the signal up to a shift; None where the truth is not known.
    """

    start: str
    first_moment_error: Measured
    second_moment_error: Measured
    residual: Measured
    signal_error: float | None


def run(config: MomentsMRAConfig, job: JobFolder, progress: Progress) -> MomentsMRAResult:
    """Form the moments, invert them, and write both.

    Raises
    ------
    InputError
        Observations or encoders cannot be read or do not fit each other, or the moments hold no signal.
    Stopped
        The job was asked to stop; it begins anew when it is resumed.
    """
    observations = read_observations(config.observations)
    channels, window = observations.data.shape[1:]
    sums = sum_up(observations.data.to(config.device), observations.sigma, progress)
    moments, errors = sums.moments(), sums.standard_errors()
    problem = MRAProblem(
        Target.statistical(moments, errors), WindowedShifts.of(observations.length, window, moments.first), channels
    )
    generator = generator_for(config.seed, "starts from moments")
    significant = SIGNIFICANT * float(errors.second.diagonal().mean())
    solutions = {"classical": problem.solve(config.starts, generator, significant)}
    if config.encoders is not None:
        solutions["encoders"] = _from_encoders(config.encoders, config.refinement_steps, problem)
    best = best_of([each.fit for each in solutions.values()])
    start = next(name for name, each in solutions.items() if each.fit is best)
    solution = solutions[start]
    result = _result(solution, start, problem, errors, observations.signal)
    arrays = {"first": moments.first, "second": moments.second}
    arrays |= {"first_error": errors.first, "second_error": errors.second}
    write_arrays(job.path / MOMENTS, arrays)
    write_arrays(job.path / SOLUTION, {"signal": solution.signal.cpu(), "density": solution.density.cpu()})
    job.write_result(result)
    return result


def sum_up(data: Float[Tensor, "n c w"], sigma: float, progress: Progress) -> MomentSums:
    """Sums over observations, a chunk at a time."""
    weight = torch.full((1, data[0].numel()), sigma**-2, dtype=data.dtype, device=data.device)
    parts = list(chunks(len(data), CHUNK))
    progress.start(len(parts), "moments")

    def sums_of(part: slice) -> MomentSums:
        if progress.stop_requested():
            raise Stopped
        progress.advance()
        return MomentSums.of(data[part].flatten(1) / sigma**2, weight)

    return add_up(sums_of(part) for part in parts)


def _from_encoders(path: Path, steps: int, problem: MRAProblem) -> MRASolution:
    """The fit from the outputs of trained encoders, refined to the moments first."""
    trained = read_encoders(path)
    shifts = problem.shifts
    if problem.channels != 1 or shifts.window != shifts.length or shifts.length != trained.length:
        wrong = f"the encoders are for real signals of {trained.length} samples seen whole"
        raise InputError(wrong, file=path, fix="train others, or leave them out")
    moments = problem.target.moments.map(lambda x: x.float().cpu()[None])
    *_, outcome = refine(trained.pair, moments, steps, REFINEMENT_RATES)
    return problem.refine(outcome.signals.to(problem.target.moments.first), outcome.densities[0].double())


def _result(
    solution: MRASolution, start: str, problem: MRAProblem, errors: Moments, truth: Float[Tensor, "c n"] | None
) -> MomentsMRAResult:
    moments = problem.moments(solution.fit.parameters)
    first, second = relative_errors(moments, problem.target.moments)
    deviations = Moments(
        (moments.first - problem.target.moments.first) / errors.first,
        (moments.second - problem.target.moments.second) / errors.second,
    )
    squares = torch.cat([deviations.first, deviations.second.flatten()]).square()
    return MomentsMRAResult(
        start=start,
        first_moment_error=float(first),
        second_moment_error=float(second),
        residual=float(squares.mean().sqrt()),
        signal_error=None if truth is None else signal_error(solution.signal.cpu(), truth),
    )
