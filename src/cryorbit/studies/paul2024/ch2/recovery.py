"""Noisy data sets inverted from their moments: by encoders, trained and untrained, and by classical ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.chunks import chunks
from cryorbit.imaging.windowed_shifts import WindowedShifts
from cryorbit.moments.empirical import MomentSums, add_up
from cryorbit.moments.encoders import Architecture, make_encoder
from cryorbit.moments.fit import Target
from cryorbit.moments.losses import ANY_SHIFT, kam_loss, shift_error
from cryorbit.moments.mixtures import Examples, draw_examples
from cryorbit.moments.mra import shift_moments
from cryorbit.moments.mra_fit import MRAProblem
from cryorbit.moments.mra_networks import EncoderPair, refine
from cryorbit.moments.pair import Moments
from cryorbit.moments.spectral import spectral_solution
from cryorbit.simulate.mra import draw_observations
from cryorbit.studies.paul2024.ch2.config import RecoverySettings
from cryorbit.studies.tables import Row

SIGMA = 1.0
CHUNK = 50_000
RATES = (1e-3, 1e-5)
RANDOM_STARTS = 4
ERRORS = ("moments", "signal", "density")
"""What errors are of, in the order of the columns of a course."""
SIGNIFICANT = 4.0
"""Standard errors by which the power of a frequency must stand out for the spectral method."""


@dataclass(frozen=True, slots=True)
class Course:
    """Errors on one data set along the way, of moments (sum of both), signal, density; one row for classical ways."""

    method: str
    steps: tuple[int, ...]
    errors: Float[Tensor, "t 3"]


def recover(
    recovery: RecoverySettings,
    trained: Callable[[], EncoderPair],
    untrained: tuple[Architecture, int],
    length: int,
    generator: torch.Generator,
) -> Iterator[Course]:
    """Courses on one new data set.

    Parameters
    ----------
    recovery
        Its size.
    trained
        Gives the trained encoders, which are changed.
    untrained
        Architecture of those that are not trained, and the Gaussians of the mixtures.
    length
        Samples of the signal.
    generator
        Draws everything.
    """
    architecture, components = untrained
    truth = draw_examples(1, components, length, generator)
    sums = observe_moments(truth, recovery.observations, generator)
    moments, errors = sums.moments(), sums.standard_errors()
    seeds = torch.randint(2**31, (2,), generator=generator).tolist()
    fresh = EncoderPair(
        make_encoder(architecture, length, "signal", seeds[0]), make_encoder(architecture, length, "density", seeds[1])
    )
    for method, pair in (("encoders, trained", trained()), ("encoders, untrained", fresh)):
        yield _refined(method, pair, moments, truth, recovery)
    least_power = SIGNIFICANT * float(errors.second.diagonal().mean())
    signal, density = spectral_solution(moments, least_power)
    yield _classical("spectral method", signal, density, moments, truth)
    problem = MRAProblem(Target.statistical(moments, errors), WindowedShifts.of(length, length, moments.first))
    best = problem.solve(RANDOM_STARTS, generator, least_power)
    yield _classical("least squares", best.signal[0], best.density, moments, truth)


def observe_moments(truth: Examples, count: int, generator: torch.Generator) -> MomentSums:
    """Sums over simulated observations, drawn and forgotten a chunk at a time."""
    signal, density = truth.signals.double(), truth.densities[0].double()
    length = signal.shape[1]
    weight = torch.full((1, length), SIGMA**-2, dtype=signal.dtype)
    sizes = [part.stop - part.start for part in chunks(count, CHUNK)]
    drawn = (draw_observations(signal, density, length, SIGMA, size, generator).data for size in sizes)
    return add_up(MomentSums.of(data.flatten(1) / SIGMA**2, weight) for data in drawn)


def summarise(courses: Sequence[Course]) -> list[Row]:
    """A row a method: mean errors at start and end, and when they are below those that untrained weights end with."""
    methods = list(dict.fromkeys(course.method for course in courses))
    means = {name: torch.stack([each.errors for each in courses if each.method == name]).mean(0) for name in methods}
    goal = float(means["encoders, untrained"][-1, 0])
    rows: list[Row] = []
    for name in methods:
        steps = next(each.steps for each in courses if each.method == name)
        reached = [step for step, error in zip(steps, means[name][:, 0].tolist(), strict=True) if error <= goal]
        first, last = means[name][0], means[name][-1]
        numbers = {}
        for column, what in enumerate(ERRORS):
            numbers[f"{what}, start"] = f"{first[column]:.3f}" if len(steps) > 1 else ""
            numbers[f"{what}, end"] = f"{last[column]:.3f}"
        row = {"method": name, **numbers, "steps to untrained": reached[0] if reached and len(steps) > 1 else ""}
        rows.append({**row, "spread": _spread([each for each in courses if each.method == name])})
    return rows


def _spread(courses: Sequence[Course]) -> str:
    """Standard deviations over data sets of the errors at the end, in words."""
    if len(courses) == 1:
        return "one data set"
    deviations = torch.stack([each.errors[-1] for each in courses]).std(0).tolist()
    ends = ", ".join(f"{what} {each:.3f}" for what, each in zip(ERRORS, deviations, strict=True))
    return f"std of the ends over {len(courses)} data sets: {ends}"


def _refined(method: str, pair: EncoderPair, moments: Moments, truth: Examples, recovery: RecoverySettings) -> Course:
    steps, errors = [], []
    batch = moments.map(lambda x: x.float()[None])
    for step, outcome in enumerate(refine(pair, batch, recovery.steps, RATES)):
        if step % recovery.every == 0:
            steps.append(step)
            errors.append(_errors(outcome.signals[0], outcome.densities[0], moments, truth))
    return Course(method, tuple(steps), torch.stack(errors))


def _classical(method: str, signal: Tensor, density: Tensor, moments: Moments, truth: Examples) -> Course:
    return Course(method, (0,), _errors(signal, density, moments, truth)[None])


def _errors(signal: Tensor, density: Tensor, moments: Moments, truth: Examples) -> Float[Tensor, " 3"]:
    """Errors of moments, signal and density."""
    signal, density = signal.double(), density.double()
    shifts = WindowedShifts.of(len(signal), len(signal), signal)
    of_moments = kam_loss(shift_moments(signal[None], density, shifts), moments)
    of_signal = shift_error(signal, truth.signals[0].double(), ANY_SHIFT)
    return torch.stack([of_moments, of_signal, shift_error(density, truth.densities[0].double(), ANY_SHIFT)])
