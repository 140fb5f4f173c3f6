"""Moments inverted: both halves of the particles apart, coarse and then fine; all particles from where these end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.core.seeds import generator_for
from cryorbit.moments.fit import Fit
from cryorbit.moments.ring_fit import RingProblem, RingSolution, two_levels
from cryorbit.moments.ring_sums import RingSums
from cryorbit.recipes.moments.config import MomentsSettings
from cryorbit.recipes.moments.ring_plan import RingPlan
from cryorbit.recipes.moments.work import MomentWork
from cryorbit.volumes.bessel_voxels import to_voxels

HALVES = 2
Makes: TypeAlias = Mapping[str, Callable[[], Fit]]
"""Fits to make, by name."""


@dataclass(frozen=True, slots=True)
class RepeatedFits:
    """Fits of one problem from different starts, the one of least cost first."""

    problem: RingProblem
    fits: tuple[Fit, ...]

    @classmethod
    def of(cls, problem: RingProblem, fits: Sequence[Fit]) -> RepeatedFits:
        """The fits in the order of their costs."""
        return cls(problem, tuple(sorted(fits, key=lambda fit: fit.cost)))

    @property
    def solutions(self) -> list[RingSolution]:
        """What was fitted, best first; every problem has units of its own."""
        return [self.problem.read(fit.parameters) for fit in self.fits]

    def volumes(self, box: int) -> Float[Tensor, "k n n n"]:
        """Their maps, best first, in a box of so many pixels across the extent of the images."""
        coefficients = torch.stack([solution.volume for solution in self.solutions])
        return to_voxels(self.problem.model.basis, coefficients, box).float()


@dataclass(frozen=True, slots=True)
class Inversion:
    """What was fitted.

    Attributes
    ----------
    everything
        All rings, all particles.
    coarse, fine
        Of each half of the particles: all random starts on the inner rings, and the best of them continued on all.
    """

    everything: RepeatedFits
    coarse: tuple[RepeatedFits, ...]
    fine: tuple[RepeatedFits, ...]


def invert(config: MomentsSettings, seed: int, box: int, plan: RingPlan, work: MomentWork) -> Inversion:
    """Make all fits, or what is left of them; of a job that is to finish now, as few as make a map.

    Raises
    ------
    InputError
        The job is to finish now, and a half of the particles has no fit yet.
    Stopped
        The job was asked to stop; the fits that are made are kept.
    """
    noise, radii = plan.noise.cpu(), plan.rings.radii.cpu()
    halves = [RingSums(*(each.cpu() for each in sums.tensors())) for sums in work.sums]
    first, second, (_, problem) = (
        two_levels(each.estimate(noise), radii, box, plan.extent, config.density_degree)
        for each in (*halves, halves[0] + halves[1])
    )
    kept = min(config.kept, config.starts)
    work.progress.start(HALVES * (config.starts + kept + 1), "inversion")
    coarse = _coarse_fits(config, seed, (first, second), work)
    fine = _fine_fits(config, coarse, (first[1], second[1]), work)
    makes = {
        f"all from half {half}": partial(problem.fit, problem.unknown(each.solutions[0]), config.fine_steps)
        for half, each in enumerate(fine, start=1)
    }
    return Inversion(RepeatedFits.of(problem, work.all_of(_fewest(makes, work))), coarse, fine)


def _coarse_fits(
    config: MomentsSettings, seed: int, halves: Sequence[tuple[RingProblem, RingProblem]], work: MomentWork
) -> tuple[RepeatedFits, ...]:
    """Fits of each half on the inner rings, from random starts: first with even views, then with any."""

    def begin(half: int, number: int) -> Fit:
        coarse, _ = halves[half]
        start = coarse.start(generator_for(seed, "volume from moments", half, number))
        return coarse.fit(coarse.fit_even(start, config.coarse_steps).parameters, config.coarse_steps)

    named: list[Makes] = [
        {f"half {half + 1} coarse {number + 1}": partial(begin, half, number) for number in range(config.starts)}
        for half in range(HALVES)
    ]
    if work.job.finish_now:
        named = [{name: make for name, make in makes.items() if name in work.fits} for makes in named]
        if not all(named):
            raise InputError("a half of the particles has no map yet", fix="resume without --finish-now")
    work.all_of({name: make for makes in named for name, make in makes.items()})
    return tuple(
        RepeatedFits.of(coarse, [work.fits[name] for name in makes])
        for (coarse, _), makes in zip(halves, named, strict=True)
    )


def _fine_fits(
    config: MomentsSettings, coarse: Sequence[RepeatedFits], problems: Sequence[RingProblem], work: MomentWork
) -> tuple[RepeatedFits, ...]:
    """Fits of each half on all rings, from its best coarse ones."""

    def refine(half: int, begun: Fit) -> Fit:
        fine = problems[half]
        return fine.fit(fine.from_coarse(coarse[half].problem, begun.parameters), config.fine_steps)

    named: list[Makes] = [
        {
            f"half {half + 1} fine {number + 1}": partial(refine, half, fit)
            for number, fit in enumerate(coarse[half].fits[: config.kept])
        }
        for half in range(HALVES)
    ]
    named = [_fewest(makes, work) for makes in named]
    work.all_of({name: make for makes in named for name, make in makes.items()})
    return tuple(
        RepeatedFits.of(problem, [work.fits[name] for name in makes])
        for problem, makes in zip(problems, named, strict=True)
    )


def _fewest(makes: Makes, work: MomentWork) -> Makes:
    """The fits to make: all, but of a job that is to finish now those that are made, or else the first."""
    if not work.job.finish_now:
        return makes
    made = {name: make for name, make in makes.items() if name in work.fits}
    return made or dict(list(makes.items())[:1])
