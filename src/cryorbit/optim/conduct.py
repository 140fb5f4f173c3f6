"""What a method did between two looks at it, as far as its state says: for tables in which methods are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cryorbit.optim.safeguards import Interventions
from cryorbit.optim.strides import Strides


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """What a method did; None where it has no such thing.

    Attributes
    ----------
    cosine
        Mean cosine of the angle between its steps and the negative gradients of their mini-batches; 1 for plain
        stochastic gradients.
    step_length
        Mean Euclidean norm of its steps, in units of the unknown.
    pairs
        Secant pairs held.
    pairs_refused
        Secant pairs refused since the last look.
    cg_iterations
        Mean number of conjugate-gradient iterations of a step.
    damping
        Damping of the next step, in units of L.
    rank
        Directions that span the covariance of gradients.
    """

    cosine: float | None = None
    step_length: float | None = None
    pairs: int | None = None
    pairs_refused: int | None = None
    cg_iterations: float | None = None
    damping: float | None = None
    rank: int | None = None


def find_conduct(before: Any, after: Any) -> Conduct:
    """What a method did from one of its states to a later one."""
    return Conduct(**_of_steps(before, after), **_of_memory(before, after), **_of_curvature(after))


def _of_steps(before: Any, after: Any) -> dict[str, Any]:
    """Means over the steps made since; nothing if none was made, or they are not counted."""
    first, last = getattr(before, "strides", None), getattr(after, "strides", None)
    if not isinstance(first, Strides) or not isinstance(last, Strides) or last.steps == first.steps:
        return {}
    steps = last.steps - first.steps
    means = {"cosine": (last.cosines - first.cosines) / steps, "step_length": (last.lengths - first.lengths) / steps}
    iterations = getattr(after, "iterations", None)
    return means if iterations is None else {**means, "cg_iterations": (iterations - before.iterations) / steps}


def _of_memory(before: Any, after: Any) -> dict[str, Any]:
    """Pairs of a method that keeps its own; those of variance reduction are learned an epoch at a time."""
    memory, last = getattr(after, "memory", None), getattr(after, "interventions", None)
    if memory is None or not isinstance(last, Interventions):
        return {}
    return {"pairs": len(memory), "pairs_refused": last.pairs - before.interventions.pairs}


def _of_curvature(after: Any) -> dict[str, Any]:
    """Damping and rank as they are now."""
    damping, factors = getattr(after, "damping", None), getattr(after, "factors", None)
    found: dict[str, Any] = {} if damping is None else {"damping": float(damping / after.smoothness)}
    return found if factors is None else {**found, "rank": len(factors)}
