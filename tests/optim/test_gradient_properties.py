"""What one method of gradients does and no other: where it looks, what it keeps, and how it changes its mind."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from by_hand_gradients import searched, two_loops
from quadratics import (
    HESSIANS,
    X0,
    Index,
    L,
    Quadratics,
    Vector,
    gradient,
    stepped,
)

from cryorbit.optim.adagrad import AdaGrad
from cryorbit.optim.armijo import Armijo
from cryorbit.optim.hessian_free import HessianFree, HessianFreeState
from cryorbit.optim.momentum import Momentum, MomentumState, Nesterov
from cryorbit.optim.online_lbfgs import OnlineLBFGS
from cryorbit.optim.preconditioned_sgd import PreconditionedSGD
from cryorbit.optim.protocols import Evaluation
from cryorbit.optim.sag import SAG
from cryorbit.optim.sgd import SGD
from cryorbit.optim.tonga import Tonga

LENGTH = torch.tensor(L, dtype=torch.float64)


class Watched(Quadratics):
    """The sum, writing down where gradients were asked for."""

    def __init__(self) -> None:
        self.asked: list[Vector] = []

    def evaluate(self, x: Vector, idx: Index) -> Evaluation:
        """Mean value and gradient."""
        self.asked.append(x)
        return super().evaluate(x, idx)


@pytest.mark.parametrize(("kind", "ahead"), [(Momentum, 0.0), (Nesterov, 0.75)])
def test_nesterov_looks_ahead_and_momentum_does_not(kind: type[Momentum | Nesterov], ahead: float) -> None:
    velocity, watched = torch.tensor([0.4, -0.2], dtype=torch.float64), Watched()
    # by step 100 three quarters of the velocity stay
    state = MomentumState(velocity, LENGTH, 100)
    x, after, _ = stepped(kind(batch_size=1), [[0]], state, watched)
    torch.testing.assert_close(watched.asked[-1], X0 + ahead * velocity)
    change = 0.25 * 2.0**-0.75 / L * gradient(0, X0 + ahead * velocity)
    torch.testing.assert_close(after.velocity, 0.75 * velocity - change)
    torch.testing.assert_close(x, X0 + after.velocity)


def test_adagrad_adds_up_the_squares_of_all_gradients() -> None:
    _, state, _ = stepped(AdaGrad(batch_size=1), [[2], [2], [1]])
    x, squares = X0, torch.zeros(2, dtype=torch.float64)
    for term in (2, 2, 1):
        squares = squares + gradient(term, x) ** 2
        x = x - state.length * gradient(term, x) / squares.sqrt()
    torch.testing.assert_close(state.squares, squares, rtol=1e-6, atol=0)


def test_tonga_without_weight_is_sgd_and_with_it_turns_away_from_where_gradients_vary() -> None:
    plain, _, _ = stepped(SGD(batch_size=1), [[0, 1, 2]])
    torch.testing.assert_close(stepped(Tonga(weight=0.0, batch_size=1), [[0, 1, 2]])[0], plain)
    # gradients so far varied along the first axis alone
    state = replace(stepped(Tonga(batch_size=1), [])[1], factors=torch.tensor([[50.0, 0.0]], dtype=torch.float64))
    step = stepped(Tonga(batch_size=1), [[1]], state)[0] - X0
    assert abs(step[0] / step[1]) < 0.8 * abs(gradient(1, X0)[0] / gradient(1, X0)[1])
    assert float(step.norm()) == pytest.approx(float(gradient(1, X0).norm()) / L)


def test_tonga_keeps_a_covariance_of_low_rank_in_which_old_gradients_fade() -> None:
    seen = [stepped(Tonga(rank=1, discount=0.25, batch_size=1), [[k] for k in (0, 1, 2)][:n])[1] for n in (1, 2, 3)]
    assert [len(state.factors) for state in seen] == [1, 1, 1]
    torch.testing.assert_close(seen[0].factors[0], gradient(0, X0))
    x1, _, _ = stepped(Tonga(rank=1, discount=0.25, batch_size=1), [[0]])
    dense = 0.25 * torch.outer(gradient(0, X0), gradient(0, X0)) + torch.outer(gradient(1, x1), gradient(1, x1))
    values, vectors = torch.linalg.eigh(dense)
    leading = values[-1] * torch.outer(vectors[:, -1], vectors[:, -1])
    torch.testing.assert_close(seen[1].factors.mT @ seen[1].factors, leading)


def test_online_lbfgs_takes_both_gradients_of_a_pair_on_one_mini_batch() -> None:
    x, state, blocks = stepped(OnlineLBFGS(damping=0.0, batch_size=1), [[0], [1]])
    for s, y, hessian in zip(state.memory.steps, state.memory.changes, HESSIANS, strict=False):
        torch.testing.assert_close(y, hessian @ s)
    assert blocks.evaluations == 4
    # the secant equation: the inverse Hessian takes the last change to the last step
    pairs = list(zip(state.memory.steps, state.memory.changes, strict=True))
    torch.testing.assert_close(two_loops(pairs, 1.0, pairs[-1][1]), pairs[-1][0])
    torch.testing.assert_close(x, X0 + state.memory.steps.sum(0))


def test_a_single_conjugate_gradient_is_the_best_step_along_the_gradient() -> None:
    g = gradient(0, X0)
    method = HessianFree(iterations=1, batch_size=1)
    x, state, blocks = stepped(method, [[0]], HessianFreeState(0.5 * LENGTH, LENGTH))
    torch.testing.assert_close(x, X0 - g * (g @ g) / (g @ HESSIANS[0] @ g + 0.5 * L * g @ g))
    assert blocks.evaluations == 3
    assert state.steps == 1


@dataclass(frozen=True)
class Isotropic:
    """``a |x|^2 / 2`` with a Hessian product that says there is no curvature."""

    curved: float
    num_terms: int = 1

    def evaluate(self, x: Vector, idx: Index) -> Evaluation:
        """Value and gradient."""
        del idx
        return Evaluation(self.curved * x.square().sum() / 2, self.curved * x)

    def hessian_vector(self, x: Vector, vector: Vector, idx: Index) -> Vector:
        """Nothing."""
        del x, idx
        return torch.zeros_like(vector)


@pytest.mark.parametrize(
    ("damping", "factor", "moves"),
    # the step is g / d, and the value falls by 1 - a / 2d of what a model without curvature says
    [(0.4, 1.5, False), (0.6, 1.5, True), (1.0, 1.0, True), (1.9, 1.0, True), (2.1, 2 / 3, True)],
)
def test_damping_grows_where_the_model_lies_and_shrinks_where_it_is_right(
    damping: float, factor: float, moves: bool
) -> None:
    one = torch.ones((), dtype=torch.float64)
    method = HessianFree(floor=0.0, batch_size=None)
    x, state, _ = stepped(method, [[0]], HessianFreeState(3 * damping * one, one), Isotropic(3.0))
    torch.testing.assert_close(x, (1 - 1 / damping) * X0 if moves else X0)
    torch.testing.assert_close(state.damping, 3 * damping * factor * one)


def test_damping_is_never_less_than_one_that_grows() -> None:
    method = HessianFree(floor=2.0, decay=0.5, power=2.0, batch_size=1)
    _, state, _ = stepped(method, [[0, 1, 2]])
    assert float(state.damping) == pytest.approx(2 * 2.0**2 * L)


def test_sag_keeps_the_last_gradient_of_every_block() -> None:
    x2, _, _ = stepped(SAG(batch_size=1), [[0, 2]])
    _, state, _ = stepped(SAG(batch_size=1), [[0, 2, 0]])
    torch.testing.assert_close(state.table[0], gradient(0, x2))
    assert not state.table[1].any()
    assert state.seen.tolist() == [1, 0, 1]


def test_the_diagonal_of_probes_is_a_running_mean_that_is_mixed_in() -> None:
    method = PreconditionedSGD(forget=0.75, batch_size=1)
    x1, first, _ = stepped(method, [[0]])
    x2, second, _ = stepped(method, [[0, 1]])
    # with random signs z, z * (A z) is the diagonal of A plus or minus its other entry
    probes = [[HESSIANS[k].diagonal() + sign * HESSIANS[k, 0, 1] for sign in (-1, 1)] for k in (0, 1)]
    (probe0,) = [probe for probe in probes[0] if torch.allclose(probe, first.diagonal)]
    (mean,) = [(probe0 + probe) / 2 for probe in probes[1] if torch.allclose((probe0 + probe) / 2, second.mean_probe)]
    torch.testing.assert_close(second.diagonal, 0.75 * probe0 + 0.25 * mean)
    expected, length = searched(0, X0, gradient(0, X0) / probe0, 1.2)
    torch.testing.assert_close(x1, expected)
    torch.testing.assert_close(x2, searched(1, x1, gradient(1, x1) / second.diagonal, 1.2 * length)[0])


class Uphill(Quadratics):
    """The sum with gradients of the wrong sign: no step along them descends."""

    def evaluate(self, x: Vector, idx: Index) -> Evaluation:
        """Mean value, and the gradient turned round."""
        found = super().evaluate(x, idx)
        return Evaluation(found.value, -found.field)


def test_a_search_that_finds_no_descent_stays_where_it_is_and_begins_anew() -> None:
    x, state, _ = stepped(Armijo(batch_size=1), [[0]], oracle=Uphill())
    assert torch.equal(x, X0)
    assert state.length == 1


def test_tonga_at_a_minimum_stays_there() -> None:
    class Flat(Quadratics):
        """No gradient anywhere."""

        def evaluate(self, x: Vector, idx: Index) -> Evaluation:
            """The value of the sum."""
            found = super().evaluate(x, idx)
            return Evaluation(found.value, torch.zeros_like(found.field))

    assert torch.equal(stepped(Tonga(batch_size=1), [[0, 1, 2]], oracle=Flat())[0], X0)
