"""The seven methods of Punjani & Brubaker (2014) as published and safeguarded: steps by hand, and no two the same."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
import torch
from by_hand_gradients import SHORTER, two_loops
from finite_sums import SHAPE, logistic_regression
from quadratics import HESSIANS, X0, Index, L, Quadratics, Vector, gradient, stepped

from cryorbit.optim.adagrad import AdaGrad
from cryorbit.optim.blocks import Blocks
from cryorbit.optim.conduct import Conduct, find_conduct
from cryorbit.optim.hessian_free import HessianFree
from cryorbit.optim.momentum import Momentum, Nesterov
from cryorbit.optim.online_lbfgs import OnlineLBFGS
from cryorbit.optim.protocols import Evaluation
from cryorbit.optim.safeguards import Safeguard
from cryorbit.optim.sgd import SGD
from cryorbit.optim.tonga import Tonga

BARE = Safeguard(active=False)
ONE = torch.eye(2, dtype=torch.float64)
PUBLISHED_HF: dict[str, Any] = {"floor": 0.0, "safeguard": BARE, "products": "differences"}


@pytest.mark.parametrize(("kind", "ahead"), [(Momentum, 0.0), (Nesterov, 0.5)])
def test_published_momentum_takes_its_rate_whole(kind: type[Momentum], ahead: float) -> None:
    u1 = -gradient(0, X0) / L
    u2 = 0.5 * u1 - SHORTER / L * gradient(1, X0 + u1 + ahead * u1)
    x, state, _ = stepped(kind(rate="step", batch_size=1), [[0], [1]])
    torch.testing.assert_close(x, X0 + u1 + u2, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(state.velocity, u2, rtol=1e-9, atol=1e-9)


def test_published_tonga_steps_as_far_as_its_direction_is_long() -> None:
    x, covariance, mass = X0, torch.zeros(2, 2, dtype=torch.float64), 0.0
    for step, term in enumerate((0, 1, 2)):
        g = gradient(term, x)
        covariance = 0.6 * covariance + torch.outer(g, g)
        mass = 0.6 * mass + float(g @ g)
        # (C + lambda I)^-1 g times lambda, lambda the mean variance over a weight of 3
        damping = mass / (step + 1) / 3
        x = x - (1 + 0.01 * step) ** -0.75 / L * damping * torch.linalg.solve(covariance + damping * ONE, g)
    method = Tonga(length="natural", discount=0.6, weight=3.0, batch_size=1)
    found, _, _ = stepped(method, [[0], [1], [2]])
    torch.testing.assert_close(found, x, rtol=1e-9, atol=1e-9)


class Saddle(Quadratics):
    """Gradients of ``-x1^2 / 2 + x2^2 / 2`` times a curvature; no majoriser but that of the three quadratics."""

    def __init__(self, curvature: float) -> None:
        self.signs = curvature * torch.tensor([-1.0, 1.0], dtype=torch.float64)

    def evaluate(self, x: Vector, idx: Index) -> Evaluation:
        """Value and gradient, the same for every term."""
        del idx
        return Evaluation((self.signs * x.square()).sum() / 2, self.signs * x)

    def hessian_vector(self, x: Vector, vector: Vector, idx: Index) -> Vector:
        """The Hessian is the same everywhere."""
        del x, idx
        return self.signs * vector


@pytest.mark.parametrize("safeguard", [Safeguard(), BARE])
@pytest.mark.parametrize(("damping", "held"), [(0.5, True), (0.1, False)])
def test_pairs_are_tested_after_they_are_damped(damping: float, held: bool, safeguard: Safeguard) -> None:
    # from (2, -1) along the gradient the curvature is (1 - 4) / 5 of that of the saddle, -0.25 L in all
    saddle = Saddle(0.25 * L * 5 / 3)
    method = OnlineLBFGS(damping=damping, safeguard=safeguard, batch_size=1)
    _, state, _ = stepped(method, [[0]], oracle=saddle)
    step = -saddle.evaluate(X0, None).field / L
    assert float(step @ (saddle.signs * step)) == pytest.approx(-0.25 * L * float(step @ step))
    assert (len(state.memory), state.interventions.pairs) == ((1, 0) if held else (0, 1))
    if held:
        torch.testing.assert_close(state.memory.changes[0], (saddle.signs + damping * L) * step)


def test_published_online_lbfgs_has_no_longest_step() -> None:
    x, pairs, seen = X0, [], []
    for step, term in enumerate((0, 1, 2)):
        first = sum(float(s @ y / (y @ y)) for s, y in pairs) / len(pairs) if pairs else 1 / L
        s = -((1 + 0.01 * step) ** -0.75) * two_loops(pairs, first, gradient(term, x))
        pairs.append((s, gradient(term, x + s) - gradient(term, x) + 0.01 * L * s))
        x = x + s
        seen.append(x)
    short = Safeguard(cap=0.5)
    found, _, _ = stepped(OnlineLBFGS(damping=0.01, safeguard=BARE, batch_size=1), [[0], [1], [2]])
    torch.testing.assert_close(found, x, rtol=1e-9, atol=1e-9)
    capped, state, _ = stepped(OnlineLBFGS(damping=0.01, safeguard=short, batch_size=1), [[0], [1], [2]])
    assert state.interventions.caps > 0
    assert float((capped - x).norm()) > 0.01


@pytest.mark.parametrize("products", ["exact", "differences"])
def test_published_hessian_free_solves_with_a_damping_that_follows_the_model(products: Any) -> None:
    method = HessianFree(iterations=2, batch_size=1, **{**PUBLISHED_HF, "products": products})
    x, damping = X0, L
    for term in (0, 1, 2):
        x = x - torch.linalg.solve(HESSIANS[term] + damping * ONE, gradient(term, x))
        # the model of a quadratic foresees just what comes: less damping, with no least one
        damping *= 2 / 3
    found, state, blocks = stepped(method, [[0, 1, 2]])
    torch.testing.assert_close(found, x, rtol=1e-7, atol=1e-7)
    assert float(state.damping) == pytest.approx(damping)
    assert state.iterations == 6
    assert blocks.evaluations == 3 * (2 + 2 * (2 if products == "differences" else 1))


def test_a_negative_damped_curvature_ends_the_iterations_and_damping_grows() -> None:
    saddle = Saddle(L * 5 / 3)
    method = HessianFree(batch_size=1, damping=0.5, **PUBLISHED_HF)
    x, state, _ = stepped(method, [[0]], oracle=saddle)
    assert torch.equal(x, X0)
    assert float(state.damping) == pytest.approx(0.75 * L)
    assert state.iterations == 1


def test_differences_of_gradients_are_products_with_the_hessian() -> None:
    problem, _ = logistic_regression()
    generator = torch.Generator().manual_seed(5)
    x, vector = (torch.randn(SHAPE, generator=generator, dtype=torch.float64) for _ in range(2))
    margins = problem.labels * (problem.rows * x).flatten(1).sum(1)
    bend = torch.sigmoid(margins) * torch.sigmoid(-margins) * (problem.rows * vector).flatten(1).sum(1)
    exact = torch.einsum("n,n...->...", bend, problem.rows) / len(bend) + problem.ridge * vector
    blocks = Blocks(problem)
    torch.testing.assert_close(blocks.hessian_difference(x, vector), exact, rtol=1e-6, atol=0)
    assert blocks.evaluations == 2 * problem.num_terms


def test_what_a_method_did_is_counted_between_two_looks() -> None:
    method = OnlineLBFGS(batch_size=1)
    _, first, _ = stepped(method, [[0]])
    x, second, _ = stepped(method, [[1, 2]], first)
    found = find_conduct(first, second)
    assert (found.pairs, found.pairs_refused, found.rank, found.damping) == (3, 0, None, None)
    s = second.memory.steps
    assert found.step_length == pytest.approx(float(s[1].norm() + s[2].norm()) / 2)
    del x
    gradients = [gradient(1, X0), gradient(2, X0 + s[1])]
    cosines = [float(-(a @ g) / (a.norm() * g.norm())) for a, g in zip(s[1:], gradients, strict=True)]
    assert found.cosine == pytest.approx(sum(cosines) / 2)
    _, state, _ = stepped(HessianFree(batch_size=1, iterations=2), [[0, 1]])
    damped = find_conduct(stepped(HessianFree(batch_size=1), [])[1], state)
    assert (damped.cg_iterations, damped.damping) == (2.0, pytest.approx(1.01**0.75))
    assert find_conduct(state, state).cosine is None
    assert find_conduct(None, None) == Conduct()


FORMS = {
    "sgd": SGD(batch_size=40),
    "momentum": Momentum(batch_size=40),
    "momentum, published": Momentum(batch_size=40, rate="step"),
    "nesterov": Nesterov(batch_size=40),
    "nesterov, published": Nesterov(batch_size=40, rate="step"),
    "adagrad": AdaGrad(batch_size=40),
    "tonga": Tonga(batch_size=40),
    "tonga, published": Tonga(batch_size=40, length="natural"),
    "online-lbfgs": OnlineLBFGS(batch_size=40),
    "online-lbfgs, published": OnlineLBFGS(batch_size=40, safeguard=BARE, damping=0.1),
    "hessian-free": HessianFree(batch_size=40),
    "hessian-free, published": HessianFree(batch_size=40, **PUBLISHED_HF),
}


def test_no_two_of_the_seven_take_the_same_course_and_none_but_one_follows_the_gradient() -> None:
    even, _ = logistic_regression()
    # curvatures that differ a hundredfold: where they are all alike every method follows the gradient
    problem = replace(even, rows=even.rows * torch.tensor([3.0, 1.0, 0.3], dtype=torch.float64))
    start = torch.ones(SHAPE, dtype=torch.float64)
    courses, conducts = {}, {}
    for name, method in FORMS.items():
        blocks = Blocks(problem, 40, torch.Generator().manual_seed(0))
        x, first = start, method.init(blocks, start)  # type: ignore[attr-defined]
        state, course = first, []
        for number in range(50):
            x, state = method.step(blocks, x, state, [number % blocks.count], torch.Generator())  # type: ignore[attr-defined]
            course.append(x)
        courses[name], conducts[name] = torch.stack(course), find_conduct(first, state)
    for one, other in combinations(courses, 2):
        apart = (courses[one] - courses[other]).flatten(1).norm(dim=1)
        assert float(apart.max()) > 1e-3 * float((courses[one] - start).flatten(1).norm(dim=1).max()), (one, other)
    assert conducts.pop("sgd").cosine == pytest.approx(1)
    assert {name for name, each in conducts.items() if each.cosine > 0.99} == set()
    assert min(each.pairs for name, each in conducts.items() if "lbfgs" in name) >= 10
    assert min(each.cg_iterations for name, each in conducts.items() if "hessian" in name) >= 3
