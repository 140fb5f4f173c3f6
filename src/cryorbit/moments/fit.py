"""Moments matched by least squares: the classical inversion, for any model that gives residuals of a real vector.

The residuals of a `Target` are the differences of both moments, each over a scale of its own; entries of the symmetric
second moment count twice off its diagonal, so that the sum of squares is that of Frobenius norms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import least_squares, minimize
from torch import Tensor

from cryorbit.moments.pair import Moments

Residuals = Callable[[Float[Tensor, " p"]], Float[Tensor, " m"]]


@dataclass(frozen=True, slots=True)
class Target:
    """What a model is fitted to.

    Attributes
    ----------
    moments
        Estimates.
    scales
        Scales of the differences of first and second moments: their norms for relative errors, or the errors of the
        estimates, which makes the sum of squares a likelihood where errors are alike.
    """

    moments: Moments
    scales: tuple[float, float]

    @classmethod
    def relative(cls, moments: Moments) -> Target:
        """The target of relative errors."""
        return cls(moments, (float(moments.first.norm()), float(moments.second.norm())))

    @classmethod
    def statistical(cls, moments: Moments, errors: Moments) -> Target:
        """The target in units of the root mean square standard errors."""
        return cls(moments, (_root_mean_square(errors.first), _root_mean_square(errors.second)))

    def residuals(self, predicted: Moments) -> Float[Tensor, " m"]:
        """Differences over their scales."""
        size = len(self.moments.first)
        rows, columns = torch.triu_indices(size, size, device=predicted.first.device)
        twice = torch.where(rows == columns, 1.0, 2**0.5).to(predicted.second)
        second = (predicted.second - self.moments.second)[rows, columns] * twice
        return torch.cat([(predicted.first - self.moments.first) / self.scales[0], second / self.scales[1]])


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted vector, half the sum of squared residuals there, and how often the model was evaluated."""

    parameters: Float[Tensor, " p"]
    cost: float
    evaluations: int


def fit_gauss_newton(residuals: Residuals, start: Float[Tensor, " p"], most: int = 200) -> Fit:
    """Fit by Levenberg-Marquardt steps in a trust region; for models of up to some thousand parameters."""
    jacobian = torch.func.jacrev(residuals)
    solution = least_squares(
        lambda x: residuals(_tensor(x, start)).cpu().numpy(),
        start.cpu().numpy().astype(float),
        lambda x: jacobian(_tensor(x, start)).cpu().numpy(),
        max_nfev=most,
        xtol=1e-12,
        ftol=1e-12,
        gtol=1e-12,
        x_scale="jac",
    )
    return Fit(_tensor(solution.x, start), float(solution.cost), int(solution.nfev))


def fit_lbfgs(residuals: Residuals, start: Float[Tensor, " p"], most: int = 1000, tolerance: float = 1e-14) -> Fit:
    """Fit by L-BFGS; for models of many parameters.

    Ends after ``most`` steps, or when the cost falls by a part below ``tolerance`` in one.
    """

    def value(x: np.ndarray) -> tuple[float, np.ndarray]:
        point = _tensor(x, start).requires_grad_()
        cost = 0.5 * residuals(point).square().sum()
        (gradient,) = torch.autograd.grad(cost, point)
        return float(cost.detach()), gradient.cpu().numpy().astype(float)

    options = {"maxiter": most, "maxcor": 30, "ftol": tolerance, "gtol": 1e-10}
    solution = minimize(value, start.cpu().numpy().astype(float), jac=True, method="L-BFGS-B", options=options)
    return Fit(_tensor(solution.x, start), float(solution.fun), int(solution.nfev))


def best_of(fits: Sequence[Fit]) -> Fit:
    """The fit of least cost."""
    return min(fits, key=lambda fit: fit.cost)


def _tensor(x: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(np.asarray(x)).to(like)


def _root_mean_square(values: Tensor) -> float:
    return float(values.square().mean().sqrt())
