"""The finite sum as a method sees it: terms grouped into blocks, every evaluation counted.

The grouping is drawn once, so that gradients and statistics can be kept a block (SAG, SVRG, stochastic EM with variance
reduction). A block's share is weighted by its size: the mean over blocks is the mean over terms.

Counted is one for one evaluation of one term, whether of its gradient, its E-step or a product with its Hessian; the
count over the number of terms is the number of *cost-weighted epochs* (Paul 2024, section 4.5.1). Gradient descent so
costs 1 an epoch; SVRG, which keeps the gradients at its snapshot, ``1 + m b / N``; with a Hessian subsampled by d
products, ``1 + (d B + m b) / N``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.optim.protocols import CurvatureOracle, EMOracle, Evaluation, Expectation, HessianOracle, Oracle

HESSIAN_STEP = 1e-4
"""Length, relative to the unknown, of the finite difference that stands in for a Hessian product."""


class Blocks:
    """Terms of an oracle in blocks, and the number of evaluations so far.

    Where ``block`` is None, a function takes all terms.

    Parameters
    ----------
    oracle
        The finite sum.
    size
        Terms in a block; the last blocks may have one less. None for a single block.
    generator
        Draws which term goes into which block.
    """

    def __init__(self, oracle: Oracle, size: int | None = None, generator: torch.Generator | None = None) -> None:
        self._oracle = oracle
        # asked once, as checks of protocols take as long as an evaluation of a small block
        self._hessian = oracle if isinstance(oracle, HessianOracle) else None
        self._diagonal = oracle if isinstance(oracle, CurvatureOracle) else None
        self._likelihood = oracle if isinstance(oracle, EMOracle) else None
        self._indices = _split(oracle.num_terms, size, generator)
        self.evaluations = 0

    @property
    def count(self) -> int:
        """Number of blocks."""
        return len(self._indices)

    @property
    def passes(self) -> float:
        """Cost-weighted epochs so far."""
        return self.evaluations / self._oracle.num_terms

    def evaluate(self, x: Float[Tensor, "*shape"], block: int | None = None) -> Evaluation:
        """Weighted value and gradient of a block."""
        idx, weight = self._take(block)
        evaluation = self._oracle.evaluate(x, idx)
        return evaluation if weight == 1 else Evaluation(weight * evaluation.value, weight * evaluation.field)

    def hessian_vector(
        self, x: Float[Tensor, "*shape"], vector: Float[Tensor, "*shape"], block: int | None = None
    ) -> Float[Tensor, "*shape"]:
        """Weighted Hessian of a block times ``vector``; by a central difference if the oracle knows no better."""
        if self._hessian is None:
            return self.hessian_difference(x, vector, block)
        idx, weight = self._take(block)
        return weight * self._hessian.hessian_vector(x, vector, idx)

    def hessian_difference(
        self, x: Float[Tensor, "*shape"], vector: Float[Tensor, "*shape"], block: int | None = None
    ) -> Float[Tensor, "*shape"]:
        """Weighted Hessian of a block times ``vector`` by a central difference: two evaluations."""
        length = vector.norm()
        if length == 0:
            return torch.zeros_like(x)
        # plus one: at zero the unknown has no size to go by
        shift = HESSIAN_STEP * (x.norm() + 1) / length * vector
        difference = self.evaluate(x + shift, block).field - self.evaluate(x - shift, block).field
        return difference * (length / (2 * HESSIAN_STEP * (x.norm() + 1)))

    def curvature(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"] | None:
        """Diagonal curvature above the Hessian, not counted; None if the oracle has none."""
        return None if self._diagonal is None else self._diagonal.curvature(x)

    def expect(self, x: Float[Tensor, "*shape"], block: int | None = None) -> Expectation:
        """Weighted value and sufficient statistics of a block."""
        idx, weight = self._take(block)
        expectation = self._em.expect(x, idx)
        return expectation if weight == 1 else Expectation(weight * expectation.value, weight * expectation.statistics)

    def maximise(self, statistics: Float[Tensor, "*stats"]) -> Float[Tensor, "*shape"]:
        """M-step; not counted, as it does not look at the terms."""
        return self._em.maximise(statistics)

    def admissible(
        self, statistics: Float[Tensor, "*stats"], reference: Float[Tensor, "*stats"]
    ) -> Float[Tensor, "*stats"]:
        """Statistics moved to where an M-step is defined."""
        return self._em.admissible(statistics, reference)

    @property
    def _em(self) -> EMOracle:
        if self._likelihood is None:
            raise TypeError(f"{type(self._oracle).__name__} has no E-step and M-step, which this method needs")
        return self._likelihood

    def _take(self, block: int | None) -> tuple[Int[Tensor, " b"] | None, float]:
        """Terms of a block and its weight; they are counted."""
        idx = None if block is None else self._indices[block]
        size = self._oracle.num_terms if idx is None else len(idx)
        self.evaluations += size
        return idx, 1.0 if idx is None else size * self.count / self._oracle.num_terms


def _split(terms: int, size: int | None, generator: torch.Generator | None) -> Sequence[Int[Tensor, " _b"] | None]:
    if size is None or size >= terms:
        return [None]
    return torch.tensor_split(torch.randperm(terms, generator=generator), -(-terms // size))
