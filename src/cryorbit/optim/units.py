"""A finite sum in units of its unknown in which fields measure what values do.

An oracle may hand out its field of descent in a metric of its own (a step of expectation maximisation, a gradient over
a curvature). A method that compares values with fields, such as a line search, asks that the square of the field be
the slope of the objective along it. In the right unit it is; a power of two rounds nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.optim.method import Method
from cryorbit.optim.protocols import EMOracle, Evaluation, Expectation

TRIAL = 0.1
"""Part of a whole step along the field by which its slope is measured."""


@dataclass(frozen=True, slots=True)
class Scaled:
    """The sum with ``scale`` times its unknown for the unknown; the field is measured in its own metric."""

    oracle: EMOracle
    scale: float

    @property
    def num_terms(self) -> int:
        """Number of terms."""
        return self.oracle.num_terms

    def evaluate(self, x: Float[Tensor, "*shape"], idx: Int[Tensor, " b"] | None) -> Evaluation:
        """Mean value and field of the terms ``idx``, or of all."""
        evaluation = self.oracle.evaluate(x / self.scale, idx)
        return Evaluation(evaluation.value, self.scale * evaluation.field)

    def curvature(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """One everywhere."""
        return torch.ones_like(x)

    def expect(self, x: Float[Tensor, "*shape"], idx: Int[Tensor, " b"] | None) -> Expectation:
        """E-step at ``x`` on the terms ``idx``, or on all."""
        return self.oracle.expect(x / self.scale, idx)

    def maximise(self, statistics: Float[Tensor, "*stats"]) -> Float[Tensor, "*shape"]:
        """M-step."""
        return self.scale * self.oracle.maximise(statistics)

    def admissible(
        self, statistics: Float[Tensor, "*stats"], reference: Float[Tensor, "*stats"]
    ) -> Float[Tensor, "*stats"]:
        """Statistics moved to where an M-step is defined."""
        return self.oracle.admissible(statistics, reference)


def natural_scale(method: Method[Any], oracle: EMOracle, x: Float[Tensor, "*shape"]) -> float:
    """The scale in whose units the square of the field at ``x`` is about the slope along it; two evaluations of all.

    One where the objective does not fall along the field, and for a method that is the same in every unit.
    """
    if getattr(method, "unit_free", False):
        return 1.0
    here = oracle.evaluate(x, None)
    slope = float(here.value - oracle.evaluate(x - TRIAL * here.field, None).value) / TRIAL
    square = float(here.field.square().sum())
    return 2.0 ** round(0.5 * math.log2(slope / square)) if slope > 0 and square > 0 else 1.0
