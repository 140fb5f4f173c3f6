"""Steps of variance reduction and of expectation maximisation, written out on the three quadratics."""

from __future__ import annotations

from collections.abc import Callable

import torch
from by_hand_gradients import Steps
from quadratics import HESSIAN, MAJORISER, MAJORISERS, X0, L, Vector, gradient, mean_gradient

from cryorbit.optim.anderson import Anderson
from cryorbit.optim.em import EM
from cryorbit.optim.sem_vr import SEMVR
from cryorbit.optim.sem_vr_quasi_newton import SEMVRQuasiNewton
from cryorbit.optim.sem_vr_statistics import SEMVRStatistics
from cryorbit.optim.stochastic_em import StochasticEM
from cryorbit.optim.svrg import SVRG
from cryorbit.optim.svrg_quasi_newton import SVRGQuasiNewton
from cryorbit.optim.svrg_subsampled_hessian import SVRGSubsampledHessian


def reduced(term: int, x: Vector, snapshot: Vector) -> Vector:
    """``g_k(x) - g_k(x~) + g(x~)``."""
    return gradient(term, x) - gradient(term, snapshot) + mean_gradient(snapshot)


def residual(x: Vector) -> Vector:
    """``x - Psi(x)`` of all terms: the gradient over the majoriser."""
    return mean_gradient(x) / MAJORISER


def reduced_residual(term: int, x: Vector, snapshot: Vector) -> Vector:
    """``r_k(x) - r_k(x~) + r(x~)``; a term alone has a majoriser of its own."""
    return (gradient(term, x) - gradient(term, snapshot)) / MAJORISERS[term] + residual(snapshot)


def bfgs(s: Vector, y: Vector, weights: Vector, first: Vector, vector: Vector) -> Vector:
    """One BFGS update of the diagonal ``first``, transposes taken in the inner product with ``weights``."""
    one, product = torch.eye(2, dtype=torch.float64), s @ (weights * y)
    left = one - torch.outer(s, weights * y) / product
    right = one - torch.outer(y, weights * s) / product
    return (left @ torch.diag(first) @ right + torch.outer(s, weights * s) / product) @ vector


def svrg() -> Steps:
    """Two epochs of two steps each, over the majoriser."""
    x1 = X0 - 0.5 * mean_gradient(X0) / MAJORISER
    x2 = x1 - 0.5 * reduced(1, x1, X0) / MAJORISER
    x3 = x2 - 0.5 * mean_gradient(x2) / MAJORISER
    x4 = x3 - 0.5 * reduced(0, x3, x2) / MAJORISER
    return SVRG(batch_size=1), [[0, 1], [2, 0]], [x2, x4]


def svrg_subsampled_hessian() -> Steps:
    """The Hessian of all blocks, inverted: a first step of length one reaches the minimum of the sum."""
    x1 = X0 - 0.5 * torch.linalg.solve(HESSIAN, mean_gradient(X0))
    x2 = x1 - 0.5 * torch.linalg.solve(HESSIAN, reduced(1, x1, X0))
    return SVRGSubsampledHessian(step_size=0.5, batch_size=1), [[0, 1]], [x2]


def svrg_quasi_newton() -> Steps:
    """Steps over L first; then the secant of the two snapshots, on its own scale."""
    x1 = X0 - 0.3 / L * mean_gradient(X0)
    s, y = x1 - X0, mean_gradient(x1) - mean_gradient(X0)
    one = torch.ones(2, dtype=torch.float64)
    first = s @ y / (y @ y) * one
    x2 = x1 - 0.3 * bfgs(s, y, one, first, mean_gradient(x1))
    x3 = x2 - 0.3 * bfgs(s, y, one, first, reduced(2, x2, x1))
    return SVRGQuasiNewton(base="scalar", batch_size=1), [[0], [1, 2]], [x1, x3]


def em() -> Steps:
    """The minimum of the majoriser of all terms."""
    x1 = X0 - residual(X0)
    return EM(), [[0], [0]], [x1, x1 - residual(x1)]


def stochastic_em() -> Steps:
    """Part of the way to the minimum of the majoriser of one term, less and less of it."""
    x1 = X0 - 0.8 * gradient(0, X0) / MAJORISERS[0]
    x2 = x1 - 0.8 * 1.1**-0.75 * gradient(1, x1) / MAJORISERS[1]
    return StochasticEM(step_size=0.8, batch_size=1), [[0], [1]], [x1, x2]


def sem_vr() -> Steps:
    """Variance is reduced among unknowns: each term over its own majoriser."""
    x1 = X0 - residual(X0)
    x2 = x1 - reduced_residual(1, x1, X0)
    return SEMVR(batch_size=1), [[0, 1]], [x2]


def sem_vr_statistics() -> Steps:
    """Variance is reduced among statistics: numerators and denominators apart."""

    def numerator(term: int, x: Vector) -> Vector:
        return MAJORISERS[term] * x - gradient(term, x)

    whole = (numerator(0, X0) + numerator(1, X0) + numerator(2, X0)) / 3
    x1 = whole / MAJORISER
    fresh = numerator(1, x1) - numerator(1, X0) + whole
    x2 = (0.75 * whole + 0.25 * fresh) / MAJORISER
    return SEMVRStatistics(step_size=0.25, batch_size=1), [[0, 1]], [x2]


def sem_vr_quasi_newton() -> Steps:
    """Steps of EM first; then the secant of residuals, in the inner product weighted by the majoriser."""
    x1 = X0 - 0.3 * residual(X0)
    s, y = x1 - X0, residual(x1) - residual(X0)
    one = torch.ones(2, dtype=torch.float64)
    x2 = x1 - 0.3 * bfgs(s, y, MAJORISER, one, residual(x1))
    x3 = x2 - 0.3 * bfgs(s, y, MAJORISER, one, reduced_residual(2, x2, x1))
    return SEMVRQuasiNewton(batch_size=1), [[0], [1, 2]], [x1, x3]


def anderson() -> Steps:
    """EM first; then the mixture of the last two points whose mixed residual is least."""
    x1 = X0 - residual(X0)
    change = residual(x1) - residual(X0)
    part = change @ residual(x1) / (change @ change)
    x2 = (1 - part) * (x1 - residual(x1)) + part * (X0 - residual(X0))
    return Anderson(), [[0], [0]], [x1, x2]


BY_HAND: dict[str, Callable[[], Steps]] = {
    "svrg": svrg,
    "svrg-subsampled-hessian": svrg_subsampled_hessian,
    "svrg-quasi-newton": svrg_quasi_newton,
    "em": em,
    "stochastic-em": stochastic_em,
    "sem-vr": sem_vr,
    "sem-vr-statistics": sem_vr_statistics,
    "sem-vr-quasi-newton": sem_vr_quasi_newton,
    "anderson": anderson,
}
