"""The one loop: epochs of a method until the objective stands still, with its course written down."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.blocks import Blocks
from cryorbit.optim.method import Method
from cryorbit.optim.protocols import Oracle
from cryorbit.optim.safeguards import Interventions

Observer = Callable[[float, float], None]
Ending = Literal["converged", "diverged", "exhausted"]
RUNAWAY = 1e6
"""Rise of the objective, in units of its size at the start, that is taken for divergence."""


@dataclass(frozen=True, slots=True)
class Stop:
    """When to stop.

    Attributes
    ----------
    tolerance
        Converged when the objective of two consecutive epochs differs by less than this.
    passes
        Cost-weighted epochs after which to give up.
    seconds
        Time after which to give up.
    """

    tolerance: float = 1e-14
    passes: float = 14_000.0
    seconds: float = math.inf


@dataclass(frozen=True, slots=True)
class Trace:
    """The course of a minimisation; entry 0 is the start, then one entry an epoch.

    Attributes
    ----------
    x
        Where it ended.
    ending
        Why: "converged", "diverged" (the objective ran away, or is no number), or "exhausted".
    values
        Objective.
    passes
        Cost-weighted epochs; evaluations of the objective for this trace are not counted.
    seconds
        Wall clock, evaluations for this trace included.
    interventions
        What the method's safeguard did; None for a method without one.
    snapshots
        The unknown at every entry, if it was asked for; else nothing.
    """

    x: Float[Tensor, "*shape"]
    ending: Ending
    values: Float[Tensor, " t"]
    passes: Float[Tensor, " t"]
    seconds: Float[Tensor, " t"]
    interventions: Interventions | None
    snapshots: Float[Tensor, " s *shape"]


def minimise(
    oracle: Oracle,
    method: Method[Any],
    x: Float[Tensor, "*shape"],
    stop: Stop,
    generator: torch.Generator,
    *,
    observe: Observer | None = None,
    keep_snapshots: bool = False,
) -> Trace:
    """Run epochs of ``method`` from ``x``; each works through all blocks once, in a random order.

    Parameters
    ----------
    oracle
        The finite sum.
    method
        How to minimise it.
    x
        Start.
    stop
        When to stop.
    generator
        Draws the blocks, their order, and whatever the method draws; the same state gives the same result.
    observe
        Called after every epoch with the objective and the cost-weighted epochs; it may raise to end the run.
    keep_snapshots
        Whether the unknown is kept at every epoch.
    """
    began = time.perf_counter()
    blocks = Blocks(oracle, method.batch_size, generator)
    state = method.init(blocks, x)
    course = [(float(oracle.evaluate(x, None).value), blocks.passes, time.perf_counter() - began)]
    snapshots = [x]
    ending: Ending | None = None
    while ending is None:
        order = torch.randperm(blocks.count, generator=generator).tolist()
        x, state = method.step(blocks, x, state, order, generator)
        value = float(oracle.evaluate(x, None).value)
        course.append((value, blocks.passes, time.perf_counter() - began))
        if keep_snapshots:
            snapshots.append(x)
        if observe is not None:
            observe(value, blocks.passes)
        ending = find_ending([each[0] for each in course], blocks.passes, course[-1][2], stop)
    values, passes, seconds = torch.tensor(course, dtype=torch.float64).unbind(1)
    kept = torch.stack(snapshots) if keep_snapshots else x.new_zeros(0, *x.shape)
    return Trace(x, ending, values, passes, seconds, find_interventions(state), kept)


def find_ending(values: Sequence[float], passes: float, seconds: float, stop: Stop) -> Ending | None:
    """Why a course of objectives, the start's first, is over after so many passes and seconds; None if it is not."""
    ceiling = values[0] + RUNAWAY * (abs(values[0]) + 1)
    # a safeguarded method comes back from an epoch that ran away, and then from a step that did
    if not any(value <= ceiling for value in values[-3:]):
        return "diverged"
    if abs(values[-1] - values[-2]) < stop.tolerance:
        return "converged"
    if passes >= stop.passes or seconds >= stop.seconds:
        return "exhausted"
    return None


def find_interventions(state: object) -> Interventions | None:
    """What the safeguard did, from the state of a method that has one."""
    holder = getattr(state, "course", state)
    interventions = getattr(holder, "interventions", None)
    return interventions if isinstance(interventions, Interventions) else None
