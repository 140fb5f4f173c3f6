"""Finite sums whose minimum is known otherwise: consistent least squares and logistic regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize
from torch import Tensor

from cryorbit.optim.protocols import Evaluation, Expectation

SHAPE = (2, 3)
Index = Int[Tensor, " b"] | None


@dataclass(frozen=True, slots=True)
class LeastSquares:
    """``f_i = (a_i . x - b_i)^2 / 2``; the EM it offers minimises the separable majoriser ``D >= A^T A``."""

    rows: Float[Tensor, " n *shape"]
    targets: Float[Tensor, " n"]

    @property
    def num_terms(self) -> int:
        """Number of terms."""
        return len(self.rows)

    def evaluate(self, x: Float[Tensor, "*shape"], idx: Index) -> Evaluation:
        """Mean value and gradient."""
        rows, targets = self.take(idx)
        errors = (rows * x).flatten(1).sum(1) - targets
        return Evaluation(errors.square().mean() / 2, torch.einsum("n,n...->...", errors, rows) / len(rows))

    def hessian_vector(self, x: Float[Tensor, "*shape"], vector: Float[Tensor, "*shape"], idx: Index) -> Tensor:
        """The Hessian is the same everywhere."""
        del x
        rows, _ = self.take(idx)
        return torch.einsum("n,n...->...", (rows * vector).flatten(1).sum(1), rows) / len(rows)

    def curvature(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Row sums of the absolute Hessian, a diagonal above it."""
        del x
        sums = self.rows.abs().flatten(1).sum(1)
        return torch.einsum("n,n...->...", sums, self.rows.abs()) / len(self.rows)

    def expect(self, x: Float[Tensor, "*shape"], idx: Index) -> Expectation:
        """What the majoriser needs: its pull and its diagonal."""
        found, diagonal = self.evaluate(x, idx), self.curvature(x)
        return Expectation(found.value, torch.stack([diagonal * x - found.field, diagonal]))

    def maximise(self, statistics: Float[Tensor, " 2 *shape"]) -> Float[Tensor, "*shape"]:
        """Minimum of the majoriser."""
        return statistics[0] / statistics[1]

    def admissible(self, statistics: Float[Tensor, " 2 *shape"], reference: Tensor) -> Float[Tensor, " 2 *shape"]:
        """All statistics are."""
        del reference
        return statistics

    def take(self, idx: Index) -> tuple[Tensor, Tensor]:
        """Rows and targets of some terms."""
        return (self.rows, self.targets) if idx is None else (self.rows[idx], self.targets[idx])


@dataclass(frozen=True, slots=True)
class LogisticRegression:
    """``f_i = log(1 + exp(-b_i a_i . x)) + ridge |x|^2 / 2`` with labels of +1 and -1; gradients only."""

    rows: Float[Tensor, " n *shape"]
    labels: Float[Tensor, " n"]
    ridge: float = 0.1

    @property
    def num_terms(self) -> int:
        """Number of terms."""
        return len(self.rows)

    def evaluate(self, x: Float[Tensor, "*shape"], idx: Index) -> Evaluation:
        """Mean value and gradient."""
        rows, labels = (self.rows, self.labels) if idx is None else (self.rows[idx], self.labels[idx])
        margins = labels * (rows * x).flatten(1).sum(1)
        pull = torch.einsum("n,n...->...", -labels * torch.sigmoid(-margins), rows) / len(rows)
        value = torch.nn.functional.softplus(-margins).mean() + self.ridge * x.square().sum() / 2
        return Evaluation(value, pull + self.ridge * x)


def least_squares() -> tuple[LeastSquares, Float[Tensor, "2 3"]]:
    """A sum of 250 terms and its minimum, of value 0."""
    generator = torch.Generator().manual_seed(1)
    rows = torch.randn(250, *SHAPE, generator=generator, dtype=torch.float64)
    rows = rows * torch.tensor([1.0, 0.7, 0.5], dtype=torch.float64)
    solution = torch.randn(SHAPE, generator=generator, dtype=torch.float64)
    return LeastSquares(rows, (rows * solution).flatten(1).sum(1)), solution


def logistic_regression() -> tuple[LogisticRegression, Float[Tensor, "2 3"]]:
    """A sum of 250 terms and its minimum, as SciPy finds it."""
    generator = torch.Generator().manual_seed(2)
    rows = torch.randn(250, *SHAPE, generator=generator, dtype=torch.float64)
    noisy = rows.flatten(1).sum(1) + torch.randn(250, generator=generator, dtype=torch.float64)
    problem = LogisticRegression(rows, torch.sign(noisy))

    def value_and_gradient(x: np.ndarray) -> tuple[float, np.ndarray]:
        found = problem.evaluate(torch.from_numpy(x).view(SHAPE), None)
        return float(found.value), found.field.flatten().numpy()

    found = minimize(value_and_gradient, np.zeros(6), jac=True, method="BFGS", options={"gtol": 1e-12})
    return problem, torch.from_numpy(found.x).view(SHAPE)
