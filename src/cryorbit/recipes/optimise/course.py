"""The course of a method: held-out likelihood against the gradients of single images that it cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from cryorbit.inference.projection_matching import ProjectionMatching
from cryorbit.optim.conduct import Conduct, find_conduct
from cryorbit.optim.protocols import Oracle
from cryorbit.optim.stretches import Position
from cryorbit.recipes.optimise.config import PROJECTION_MATCHING
from cryorbit.recipes.optimise.problem import OptimiseProblem


@dataclass(frozen=True, slots=True)
class HeldOutPoint(Conduct):
    """A point of a course: what it had cost and was worth, and what the method did since the point before.

    Attributes
    ----------
    evaluations
        Gradients of single images so far.
    epochs
        The same in units of the number of images.
    held_out
        Mean negative log-likelihood of the held-out images relative to pure noise, nats.
    """

    evaluations: int
    epochs: float
    held_out: float


def sum_for(name: str, problem: OptimiseProblem) -> Oracle:
    """The sum that the method ``name`` works on."""
    return ProjectionMatching(problem.oracle) if name == PROJECTION_MATCHING else problem.oracle


def measure(problem: OptimiseProblem, position: Position, before: Position | None = None) -> HeldOutPoint:
    """Where a method stands, and what it did since it stood at ``before``."""
    value = float(problem.held_out.negative_log_likelihood(position.x))
    conduct = Conduct() if before is None else find_conduct(before.state, position.state)
    epochs = position.evaluations / problem.oracle.num_terms
    return HeldOutPoint(position.evaluations, epochs, value, **asdict(conduct))
