"""Windowed multireference alignment: simulate observations, and solve for the signal and the density of shifts."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.core.progress import Progress, Stopped
from cryorbit.evaluation.mra import signal_error
from cryorbit.inference.mra import MRAOracle, start_unknown
from cryorbit.io.atomic import atomic_path
from cryorbit.io.mra_files import read_observations, write_arrays
from cryorbit.optim.method import Method
from cryorbit.optim.minimise import Stop, Trace, minimise
from cryorbit.optim.registry import find_method
from cryorbit.recipes.settings import Settings
from cryorbit.simulate.mra import draw_observations, gaussian_pulse, mixture_density

OBSERVATIONS, SOLUTION, COURSE = "observations.npz", "solution.npz", "trace.csv"


class SimulateMRAConfig(Settings):
    """Settings of a simulation: a Gaussian pulse of norm 1 under shifts from an equal mixture of Gaussians."""

    output: Path = Field(description="Folder for the observations.")
    length: int = Field(16, ge=2, description="Samples of the signal.")
    window: int = Field(12, ge=1, description="Samples of an observation.")
    count: int = Field(3000, ge=1, description="Observations.")
    sigma: float = Field(0.2, gt=0, description="Standard deviation of the noise.")
    pulse_width: float = Field(0.125, gt=0, description="Standard deviation of the pulse, parts of the length.")
    centres: tuple[float, ...] = Field(
        (0.25, 0.6875), min_length=1, description="Centres of shifts, parts of the length."
    )
    density_width: float = Field(0.125, gt=0, description="Their standard deviation, parts of the length.")
    seed: int = Field(0, ge=0)


class SolveMRAConfig(Settings):
    """Settings of a solution."""

    observations: Path = Field(description="File of observations (.npz).")
    output: Path = Field(description="Job folder.")
    method: str = Field("sem-vr-quasi-newton", description="Optimiser by name, or module:Class.")
    settings: dict[str, Any] = Field(default_factory=dict, description="Settings of the optimiser.")
    tolerance: float = Field(1e-12, ge=0, description="Difference of the objective between epochs to stop at.")
    passes: float = Field(2000.0, gt=0, description="Cost-weighted epochs after which to give up.")
    seed: int = Field(0, ge=0)
    device: str = "cpu"
    threads: int | None = Field(None, ge=1)


@dataclass(frozen=True, slots=True)
class SolveMRAResult:
    """What was found, and the course to it; the error is None where the truth is not known."""

    signal: Float[Tensor, "c n"]
    density: Float[Tensor, " n"]
    trace: Trace
    error: float | None

    def as_record(self) -> dict[str, object]:
        """The numbers, for ``job.json``."""
        found = self.trace.interventions
        return {
            "ending": self.trace.ending,
            "log_likelihood": -self.trace.values[-1].item(),
            "passes": self.trace.passes[-1].item(),
            "seconds": self.trace.seconds[-1].item(),
            "interventions": None if found is None else dataclasses.asdict(found),
            "signal_error": self.error,
        }


def simulate(config: SimulateMRAConfig) -> Path:
    """Simulate observations; returns the file, which holds the truth too.

    Raises
    ------
    InputError
        The window is longer than the signal.
    """
    length = config.length
    signal = gaussian_pulse(length, config.pulse_width * length)
    density = mixture_density(length, [part * length for part in config.centres], config.density_width * length)
    generator = torch.Generator().manual_seed(config.seed)
    drawn = draw_observations(signal, density, config.window, config.sigma, config.count, generator)
    truth = {"signal": signal, "density": density, "shifts": drawn.shifts}
    file = config.output / OBSERVATIONS
    write_arrays(file, {"data": drawn.data, "length": length, "sigma": config.sigma, **truth})
    return file


def solve(config: SolveMRAConfig, progress: Progress) -> SolveMRAResult:
    """Solve for signal and density from a random signal and the uniform density, and write both and the course.

    Raises
    ------
    InputError
        The observations cannot be read, or the method or one of its settings is not known.
    Stopped
        The run was asked to stop; nothing is written.
    """
    method = make_method(config.method, config.settings)
    given = read_observations(config.observations)
    generator = torch.Generator().manual_seed(config.seed)
    start = torch.randn(given.data.shape[1], given.length, generator=generator, dtype=torch.float64)
    start = (start / start.norm()).to(config.device)
    oracle = MRAOracle.of(given.data.to(config.device), given.length, given.sigma)
    progress.start(round(config.passes), "multireference alignment")

    def observe(value: float, passes: float) -> None:
        progress.advance(objective=value, passes=passes)
        if progress.stop_requested():
            raise Stopped

    stop = Stop(config.tolerance, config.passes)
    trace = minimise(oracle, method, start_unknown(start), stop, generator, observe=observe)
    found = trace.x.cpu()
    error = None if given.signal is None else signal_error(found[:-1], given.signal)
    result = SolveMRAResult(found[:-1], found[-1].softmax(0), trace, error)
    write_arrays(config.output / SOLUTION, {"signal": result.signal, "density": result.density})
    _write_course(config.output / COURSE, trace)
    return result


def make_method(name: str, settings: Mapping[str, Any]) -> Method[Any]:
    """The optimiser with these settings; ``InputError`` naming those it has if one is not among them."""
    kind = find_method(name)
    known: list[str] = [field.name for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []
    unknown = [key for key in settings if key not in known]
    if unknown:
        raise InputError(f"{name} has no setting {unknown[0]!r}", mend=f"its settings are {', '.join(known)}")
    return kind(**settings)


def _write_course(path: Path, trace: Trace) -> None:
    with atomic_path(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["passes", "seconds", "objective"])
        writer.writerows(zip(trace.passes.tolist(), trace.seconds.tolist(), trace.values.tolist(), strict=True))
