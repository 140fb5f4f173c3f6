"""What optimisers ask of a finite sum.

The objective is ``F(x) = mean_i f_i(x)`` over terms ``i``, of a real tensor ``x`` of any shape. An oracle evaluates
it on any subset of terms; what more an oracle can do (Hessian products, a diagonal curvature, expectation
maximisation) are protocols of their own, and a method says by its calls which of them it needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Means over some terms: of their values, and of their descent fields (gradients)."""

    value: Float[Tensor, ""]
    field: Float[Tensor, "*shape"]


@dataclass(frozen=True, slots=True)
class Expectation:
    """An E-step: mean value of some terms, and their mean sufficient statistics, which add over terms."""

    value: Float[Tensor, ""]
    statistics: Float[Tensor, "*shape"]


@runtime_checkable
class Oracle(Protocol):
    """A finite sum on any subset of its terms."""

    @property
    def num_terms(self) -> int:
        """Number of terms."""
        ...

    def evaluate(self, x: Float[Tensor, "*shape"], idx: Int[Tensor, " b"] | None) -> Evaluation:
        """Mean value and gradient of the terms ``idx``, or of all."""
        ...


@runtime_checkable
class HessianOracle(Oracle, Protocol):
    """A finite sum that knows its second derivative."""

    def hessian_vector(
        self, x: Float[Tensor, "*shape"], vector: Float[Tensor, "*shape"], idx: Int[Tensor, " b"] | None
    ) -> Float[Tensor, "*shape"]:
        """Mean Hessian of the terms ``idx``, or of all, times ``vector``."""
        ...


@runtime_checkable
class CurvatureOracle(Oracle, Protocol):
    """A finite sum that knows a diagonal curvature above its Hessian: the information of the complete data."""

    def curvature(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Positive diagonal curvature at ``x``, had without looking at the terms."""
        ...


@runtime_checkable
class EMOracle(Oracle, Protocol):
    """A negative log-likelihood with hidden variables, as expectation maximisation sees it."""

    def expect(self, x: Float[Tensor, "*shape"], idx: Int[Tensor, " b"] | None) -> Expectation:
        """E-step at ``x`` on the terms ``idx``, or on all."""
        ...

    def maximise(self, statistics: Float[Tensor, "*stats"]) -> Float[Tensor, "*shape"]:
        """M-step: the unknown that sufficient statistics of any positive scale ask for."""
        ...

    def admissible(
        self, statistics: Float[Tensor, "*stats"], reference: Float[Tensor, "*stats"]
    ) -> Float[Tensor, "*stats"]:
        """Statistics moved to where an M-step is defined; ``reference`` are some of the same scale that are there."""
        ...
