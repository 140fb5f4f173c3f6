"""Steps of the methods that follow gradients of mini-batches, written out: what each makes of the three quadratics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from quadratics import HESSIANS, MAJORISER, X0, L, Vector, gradient, mean_gradient, value

from cryorbit.optim.adagrad import AdaGrad
from cryorbit.optim.armijo import Armijo
from cryorbit.optim.gradient_descent import GradientDescent
from cryorbit.optim.hessian_free import HessianFree
from cryorbit.optim.method import Method
from cryorbit.optim.momentum import Momentum, Nesterov
from cryorbit.optim.online_lbfgs import OnlineLBFGS
from cryorbit.optim.preconditioned_sgd import PreconditionedSGD
from cryorbit.optim.sag import SAG, SAGA
from cryorbit.optim.sgd import SGD
from cryorbit.optim.tonga import Tonga

Steps = tuple[Method[Any], list[list[int]], list[Vector]]
"""A method, the blocks of each epoch, and the unknown after each epoch."""
SHORTER = 1.01**-0.75
"""Second step over the first, annealed."""


def gradient_descent() -> Steps:
    """The gradient of all terms over L."""
    x1 = X0 - 0.5 / L * mean_gradient(X0)
    return GradientDescent(step_size=0.5), [[0], [0]], [x1, x1 - 0.5 / L * mean_gradient(x1)]


def searched(term: int, x: Vector, direction: Vector, longest: float) -> tuple[Vector, float]:
    """A step against ``direction``, halved until the value falls by half of what the slope promises."""
    slope, length = float(gradient(term, x) @ direction), longest
    while value(term, x - length * direction) > value(term, x) - 0.5 * length * slope:
        length /= 2
    return x - length * direction, length


def armijo() -> Steps:
    """The search begins at twice the last length, which was 1 before the first."""
    x1, length = searched(0, X0, gradient(0, X0), 2.0)
    x2, _ = searched(1, x1, gradient(1, x1), 2 * length)
    return Armijo(batch_size=1), [[0], [1]], [x1, x2]


def sgd() -> Steps:
    """Plain steps that become shorter."""
    x1 = X0 - gradient(0, X0) / L
    return SGD(batch_size=1), [[0], [1]], [x1, x1 - SHORTER / L * gradient(1, x1)]


def momentum() -> Steps:
    """Half of the velocity stays; the gradient is taken at the unknown itself."""
    u1 = -0.5 / L * gradient(0, X0)
    x1 = X0 + u1
    u2 = 0.5 * u1 - 0.5 * SHORTER / L * gradient(1, x1)
    return Momentum(batch_size=1), [[0], [1]], [x1, x1 + u2]


def nesterov() -> Steps:
    """Half of the velocity stays; the gradient is taken where that half leads."""
    u1 = -0.5 / L * gradient(0, X0)
    x1 = X0 + u1
    u2 = 0.5 * u1 - 0.5 * SHORTER / L * gradient(1, x1 + 0.5 * u1)
    return Nesterov(batch_size=1), [[0], [1]], [x1, x1 + u2]


def adagrad() -> Steps:
    """Squares of gradients add up, coordinate by coordinate; the first step has the size of two plain ones."""
    g0 = gradient(0, X0)
    length = 2.0 * torch.sqrt((g0[0] ** 2 + g0[1] ** 2) / 2) / L
    x1 = X0 - length * g0 / (g0.abs() + 1e-8)
    g1 = gradient(1, x1)
    x2 = x1 - length * g1 / (torch.sqrt(g0**2 + g1**2) + 1e-8)
    return AdaGrad(step_size=2.0, batch_size=1), [[0], [1]], [x1, x2]


def tonga() -> Steps:
    """The gradient times the inverse of ``C + m I``, C the discounted covariance and m its mean variance over 3."""
    x, covariance, mass, seen = X0, torch.zeros(2, 2, dtype=torch.float64), 0.0, []
    for step, term in enumerate((0, 1, 2)):
        g = gradient(term, x)
        covariance = 0.6 * covariance + torch.outer(g, g)
        mass = 0.6 * mass + float(g @ g)
        mean = mass / (step + 1) / 3
        natural = torch.linalg.solve(covariance + mean * torch.eye(2, dtype=torch.float64), g)
        x = x - (1 + 0.01 * step) ** -0.75 / L * g.norm() * natural / natural.norm()
        seen.append(x)
    return Tonga(discount=0.6, weight=3.0, batch_size=1), [[0], [1], [2]], seen


def two_loops(pairs: list[tuple[Vector, Vector]], first: float, vector: Vector) -> Vector:
    """The recursion of Nocedal & Wright, algorithm 7.4; pairs oldest first."""
    weights, q = [], vector
    for s, y in reversed(pairs):
        weights.append(s @ q / (y @ s))
        q = q - weights[-1] * y
    r = first * q
    for (s, y), weight in zip(pairs, reversed(weights), strict=True):
        r = r + s * (weight - y @ r / (y @ s))
    return r


def online_lbfgs() -> Steps:
    """Pairs of each mini-batch, damped by half of L, the newest two of them."""
    x, pairs, seen = X0, [], []
    for step, term in enumerate((0, 1, 2, 0)):
        pairs = pairs[-2:]
        first = sum(float(s @ y / (y @ y)) for s, y in pairs) / len(pairs) if pairs else 1 / L
        s = -((1 + 0.01 * step) ** -0.75) * two_loops(pairs, first, gradient(term, x))
        pairs.append((s, gradient(term, x + s) - gradient(term, x) + 0.5 * L * s))
        x = x + s
        seen.append(x)
    return OnlineLBFGS(memory=2, batch_size=1), [[0], [1], [2], [0]], seen


def hessian_free() -> Steps:
    """As many conjugate gradients as unknowns solve the damped Newton equation; damping grows with the steps."""
    one = torch.eye(2, dtype=torch.float64)
    x1 = X0 - torch.linalg.solve(HESSIANS[0] + L * one, gradient(0, X0))
    x2 = x1 - torch.linalg.solve(HESSIANS[1] + L * one, gradient(1, x1))
    x3 = x2 - torch.linalg.solve(HESSIANS[2] + 1.01**0.75 * L * one, gradient(2, x2))
    return HessianFree(iterations=2, batch_size=1), [[0], [1], [2]], [x1, x2, x3]


def sag() -> Steps:
    """The mean of the last gradients of the terms seen, each where it was last seen."""
    x1 = X0 - 0.25 / L * gradient(0, X0)
    x2 = x1 - 0.25 / L * (gradient(0, X0) + gradient(1, x1)) / 2
    x3 = x2 - 0.25 / L * (gradient(0, x2) + gradient(1, x1)) / 2
    return SAG(step_size=0.25, batch_size=1), [[0], [1], [0]], [x1, x2, x3]


def saga() -> Steps:
    """The gradient of a term minus its last one, plus the mean of the last ones of all."""
    x1 = X0 - 0.25 / L * gradient(0, X0)
    x2 = x1 - 0.25 / L * gradient(1, x1)
    x3 = x2 - 0.25 / L * (gradient(0, x2) - gradient(0, X0) + (gradient(0, X0) + gradient(1, x1)) / 2)
    return SAGA(step_size=0.25, batch_size=1), [[0], [1], [0]], [x1, x2, x3]


def preconditioned_sgd() -> Steps:
    """The gradient over a known diagonal, its length searched for from 1.2 times the longest in every epoch."""
    x1, _ = searched(0, X0, gradient(0, X0) / MAJORISER, 1.2 * 3.0)
    x2, _ = searched(1, x1, gradient(1, x1) / MAJORISER, 1.2 * 3.0)
    return PreconditionedSGD("oracle", longest=3.0, batch_size=1), [[0], [1]], [x1, x2]


BY_HAND: dict[str, Callable[[], Steps]] = {
    "gradient-descent": gradient_descent,
    "armijo": armijo,
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "adagrad": adagrad,
    "tonga": tonga,
    "online-lbfgs": online_lbfgs,
    "hessian-free": hessian_free,
    "sag": sag,
    "saga": saga,
    "preconditioned-sgd": preconditioned_sgd,
}
