"""Methods on known poses: as published by Toader, Brubaker & Lederman (2025), and as they are here.

The published numbers are those of the notebook that comes with the paper: 30,000 images of 192 pixels, mini-batches of
a thirtieth, ten epochs from complex normal noise on a GPU. Its settings ask for 0.99 of the linear decrease.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from cryorbit.optim.armijo import Armijo
from cryorbit.optim.floors import Constant, PartOfGroupMean
from cryorbit.optim.method import Method
from cryorbit.optim.preconditioned_sgd import PreconditionedSGD
from cryorbit.optim.svrg import SVRG
from cryorbit.studies.toader2023.posed_misfit import PosedMisfit

BATCHES = 30
"""Mini-batches in an epoch."""
DESCENT = 0.99
"""Part of the linear decrease that steps are asked for: the published one."""
LESS_DESCENT = 0.9
"""Ten times longer steps."""
STEP = 0.2
"""Of variance-reduced steps over the weight volume; longer ones are taken back at times."""

Choice = tuple[PosedMisfit, Method[Any]]


@dataclass(frozen=True, slots=True)
class Contender:
    """A method in the comparison.

    Attributes
    ----------
    name
        Name in tables.
    choose
        The problem with the diagonal that the method is to have, and the method.
    published_gap
        Distance from the minimum after ten epochs, as a part of that at the start.
    published_seconds
        Of all ten epochs.
    """

    name: str
    choose: Callable[[PosedMisfit], Choice]
    published_gap: float | None = None
    published_seconds: float | None = None


def batch_size(problem: PosedMisfit) -> int:
    """Images in a mini-batch."""
    return -(-problem.num_terms // BATCHES)


def plain(problem: PosedMisfit, descent: float = DESCENT) -> Choice:
    """Stochastic gradients, steps searched for."""
    return problem, Armijo(descent=descent, batch_size=batch_size(problem))


def probed(problem: PosedMisfit) -> Choice:
    """Algorithm 1: the diagonal is estimated on line, its floor one over the number of points of the last shell."""
    shells = problem.ball.shells
    method = PreconditionedSGD(
        descent=DESCENT,
        longest=10.0,
        floor=Constant(1 / int((shells == shells.max()).sum())),
        batch_size=batch_size(problem),
    )
    return problem, method


def probed_by_shell(problem: PosedMisfit) -> Choice:
    """Algorithm 1 with a floor of its own for each shell."""
    _, method = probed(problem)
    assert isinstance(method, PreconditionedSGD)
    return problem, replace(method, floor=PartOfGroupMean(problem.ball.shells))


def exact(problem: PosedMisfit) -> Choice:
    """The exact diagonal: what probes converge to."""
    return replace(problem, diagonal=problem.hessian_diagonal()), _known_diagonal(problem, DESCENT)


def weighted(problem: PosedMisfit, descent: float = DESCENT) -> Choice:
    """The weight volume of expectation maximisation."""
    return problem, _known_diagonal(problem, descent)


def reduced(problem: PosedMisfit) -> Choice:
    """Variance-reduced gradients, not preconditioned."""
    return problem, SVRG(base="scalar", batch_size=batch_size(problem))


def reduced_weighted(problem: PosedMisfit) -> Choice:
    """Variance-reduced gradients over the weight volume."""
    return problem, SVRG(step_size=STEP, batch_size=batch_size(problem))


def _known_diagonal(problem: PosedMisfit, descent: float) -> PreconditionedSGD:
    return PreconditionedSGD("oracle", descent=descent, longest=10.0, batch_size=batch_size(problem))


CONTENDERS = (
    Contender("SGD, Armijo", plain, 13.9 / 373, 215.0),
    Contender("Algorithm 1: probes on line", probed, 5.1 / 373, 235.0),
    Contender("probes on line, floor by shell", probed_by_shell),
    Contender("exact diagonal", exact, 4.1 / 373, 221.0),
    Contender("weight volume", weighted),
    Contender("SGD, Armijo 0.9", partial(plain, descent=LESS_DESCENT)),
    Contender("weight volume, 0.9", partial(weighted, descent=LESS_DESCENT)),
    Contender("SVRG", reduced),
    Contender("SVRG, weight volume", reduced_weighted),
)
"""In the order of the tables; the first is what the others are held against."""
