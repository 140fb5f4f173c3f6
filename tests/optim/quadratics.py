"""Three quadratics of two unknowns, small enough to compute the steps of every method by hand."""

from __future__ import annotations

from itertools import count
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.optim.blocks import Blocks
from cryorbit.optim.method import Method
from cryorbit.optim.protocols import Evaluation, Expectation

X0 = torch.tensor([2.0, -1.0], dtype=torch.float64)
HESSIANS = torch.tensor(
    [[[2.0, 1.0], [1.0, 3.0]], [[4.0, -1.0], [-1.0, 2.0]], [[1.0, 0.5], [0.5, 5.0]]], dtype=torch.float64
)
CENTRES = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, 1.0]], dtype=torch.float64)
MAJORISERS = torch.tensor([[3.0, 4.0], [5.0, 3.0], [1.5, 5.5]], dtype=torch.float64)
"""A diagonal above each Hessian: sums of magnitudes along its rows."""
HESSIAN = HESSIANS.mean(0)
MAJORISER = MAJORISERS.mean(0)
L = 12.5 / 3
"""The largest entry of the mean majoriser, which methods take for the smoothness."""
Index = Int[Tensor, " b"] | None
Vector = Float[Tensor, "2"]


def value(term: int, x: Vector) -> float:
    """``(x - c) A (x - c) / 2`` of one term."""
    away = x - CENTRES[term]
    return float(away @ HESSIANS[term] @ away) / 2


def gradient(term: int, x: Vector) -> Vector:
    """``A (x - c)`` of one term."""
    return HESSIANS[term] @ (x - CENTRES[term])


def mean_gradient(x: Vector) -> Vector:
    """Gradient of the sum."""
    return (gradient(0, x) + gradient(1, x) + gradient(2, x)) / 3


def minimum() -> Vector:
    """Where the gradient of the sum vanishes."""
    return torch.linalg.solve(HESSIAN, (HESSIANS @ CENTRES[:, :, None]).mean(0)[:, 0])


class Quadratics:
    """The mean of the three as a finite sum, with a majoriser; EM minimises the majoriser of the terms it sees."""

    num_terms = 3

    def evaluate(self, x: Vector, idx: Index) -> Evaluation:
        """Mean value and gradient."""
        terms = [0, 1, 2] if idx is None else idx.tolist()
        values = torch.tensor([value(term, x) for term in terms], dtype=torch.float64)
        return Evaluation(values.mean(), torch.stack([gradient(term, x) for term in terms]).mean(0))

    def hessian_vector(self, x: Vector, vector: Vector, idx: Index) -> Vector:
        """The Hessian is the same everywhere."""
        del x
        return (HESSIANS if idx is None else HESSIANS[idx]).mean(0) @ vector

    def curvature(self, x: Vector) -> Vector:
        """The mean majoriser."""
        del x
        return MAJORISER

    def expect(self, x: Vector, idx: Index) -> Expectation:
        """Pull and majoriser of the terms."""
        found = self.evaluate(x, idx)
        majoriser = (MAJORISERS if idx is None else MAJORISERS[idx]).mean(0)
        return Expectation(found.value, torch.stack([majoriser * x - found.field, majoriser]))

    def maximise(self, statistics: Float[Tensor, "2 2"]) -> Vector:
        """Minimum of the majoriser."""
        return statistics[0] / statistics[1]

    def admissible(self, statistics: Float[Tensor, "2 2"], reference: Float[Tensor, "2 2"]) -> Float[Tensor, "2 2"]:
        """All statistics are."""
        del reference
        return statistics


class GradientsOnly:
    """The same sum that knows nothing but values and gradients."""

    num_terms = 3

    def evaluate(self, x: Vector, idx: Index) -> Evaluation:
        """Mean value and gradient."""
        return Quadratics().evaluate(x, idx)


def one_by_one(oracle: Any) -> Blocks:
    """Blocks of one term each, block k of term k."""
    for seed in count():
        if torch.randperm(3, generator=torch.Generator().manual_seed(seed)).tolist() == [0, 1, 2]:
            break
    return Blocks(oracle, 1, torch.Generator().manual_seed(seed))


def blocks_for(method: Method[Any], oracle: Any = None) -> Blocks:
    """All terms in one block for a method that wants it so, else one by one."""
    oracle = Quadratics() if oracle is None else oracle
    return Blocks(oracle) if method.batch_size is None else one_by_one(oracle)


def stepped(
    method: Method[Any], epochs: list[list[int]], state: Any = None, oracle: Any = None
) -> tuple[Vector, Any, Blocks]:
    """Unknown and state after some epochs from ``X0``, and the blocks, which have counted."""
    blocks, generator, x = blocks_for(method, oracle), torch.Generator().manual_seed(0), X0
    state = method.init(blocks, x) if state is None else state
    for order in epochs:
        x, state = method.step(blocks, x, state, order, generator)
    return x, state, blocks
