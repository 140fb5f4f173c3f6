"""The epoch that all methods of variance reduction share: a snapshot, then steps of one block each against it.

Plain SVRG, its two accelerations and sEM-vr differ in the field they descend and in the rule that makes a step of it
(Paul 2024, algorithms 2-5). An epoch after which the objective has risen is taken back: the next one is a single step
with the field of all terms, and if that rises too, one without any learned curvature, at no cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.blocks import Blocks
from cryorbit.optim.safeguards import Interventions, Safeguard
from cryorbit.optim.snapshots import Field, Snapshot

RECOVERY = 1.25
"""Factor by which the damping of steps is taken back an epoch, after it was halved at a rise."""


@dataclass(frozen=True, slots=True)
class StepRule:
    """What turns a field into a step at a snapshot.

    Attributes
    ----------
    plain
        The step without learned curvature, as a function of the field.
    learned
        The step with it.
    weights
        Inner product in which ``plain`` is steepest descent.
    """

    plain: Callable[[Float[Tensor, "*shape"]], Float[Tensor, "*shape"]]
    learned: Callable[[Float[Tensor, "*shape"]], Float[Tensor, "*shape"]]
    weights: Float[Tensor, "*#shape"]


@dataclass(frozen=True, slots=True)
class Course:
    """What every method of variance reduction keeps from epoch to epoch.

    Attributes
    ----------
    snapshot
        The last one that was not taken back; None before the first.
    damping
        Factor on steps, halved at every rise.
    rises
        Rises in a row.
    interventions
        What the safeguard did.
    """

    snapshot: Snapshot | None = None
    damping: float = 1.0
    rises: int = 0
    interventions: Interventions = field(default_factory=Interventions)


@dataclass(frozen=True, slots=True)
class Epoch:
    """Settings of the shared epoch.

    Attributes
    ----------
    descent
        The field descended along.
    step_size
        Factor on steps.
    restart
        Where an epoch ends: at the "last" iterate (which is better), or at the "average" as in Paul 2024.
    safeguard
        Which steps and epochs are refused.
    """

    descent: Field
    step_size: float = 1.0
    restart: Literal["last", "average"] = "last"
    safeguard: Safeguard = field(default_factory=Safeguard)

    def begin(self, blocks: Blocks, x: Float[Tensor, "*shape"], course: Course) -> tuple[Snapshot, Snapshot, Course]:
        """Take a snapshot at ``x``; one pass.

        Returns the snapshot to go on from (the old one if the objective has risen), the one that was taken, from which
        curvature can be learned all the same, and the course.
        """
        taken, old = self.descent.snapshot(blocks, x), course.snapshot
        if old is not None and self.safeguard.refuses(taken.value, old.value):
            count = replace(course.interventions, rises=course.interventions.rises + 1)
            return old, taken, Course(old, course.damping / 2, course.rises + 1, count)
        return taken, taken, Course(taken, min(1.0, course.damping * RECOVERY), 0, course.interventions)

    def go(
        self, blocks: Blocks, rule: StepRule, course: Course, order: Sequence[int]
    ) -> tuple[Float[Tensor, "*shape"], Course]:
        """Step through the blocks ``order`` from the course's snapshot, or make one step of all after a rise."""
        start = course.snapshot
        assert start is not None
        if course.rises > 1:
            # shorter at every rise, and without an evaluation: the field at the snapshot is known
            return start.x - 0.5 ** (course.rises - 2) * rule.plain(start.field), course
        if course.rises == 1:
            step, count = self._step(rule, start.field, course.interventions)
            return start.x - step, replace(course, interventions=count)
        x, total, count = start.x, torch.zeros_like(start.x), course.interventions
        for block in order:
            reduced = self.descent.at(blocks, x, block) - start.rows[block] + start.field
            step, count = self._step(rule, reduced, count)
            x = x - self.step_size * course.damping * step
            total = total + x
        end = x if self.restart == "last" else total / len(order)
        return end, replace(course, interventions=count)

    def _step(
        self, rule: StepRule, vector: Float[Tensor, "*shape"], count: Interventions
    ) -> tuple[Float[Tensor, "*shape"], Interventions]:
        return self.safeguard.limit(rule.learned(vector), rule.plain(vector), rule.weights, count)
