"""A method goes on from one sum to the next: what its state takes along, what begins anew, and the unknown's unit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from quadratics import MAJORISER, X0, Index, Quadratics, Vector, mean_gradient
from torch import Tensor

from cryorbit.optim.armijo import Armijo
from cryorbit.optim.blocks import Blocks
from cryorbit.optim.carrying import bound_to_terms, carried, keeps_snapshot
from cryorbit.optim.momentum import Momentum
from cryorbit.optim.next_sum import After, Before, step_on
from cryorbit.optim.protocols import EMOracle, Evaluation
from cryorbit.optim.registry import METHODS
from cryorbit.optim.sag import SAG
from cryorbit.optim.units import Scaled, natural_scale

NOTHING = Before(None, None, (2,), lambda value: value)
SNAPSHOTS = {
    "svrg",
    "svrg-subsampled-hessian",
    "svrg-quasi-newton",
    "sem-vr",
    "sem-vr-statistics",
    "sem-vr-quasi-newton",
}


def one_step(method: Any, x: Vector, before: Before, oracle: EMOracle | None = None, size: int | None = 1) -> After:
    seeds = torch.Generator().manual_seed(4), torch.Generator().manual_seed(5)
    return step_on(method, Quadratics() if oracle is None else oracle, x, before, size, seeds)


@dataclass(frozen=True)
class Inner:
    """A state within a state."""

    pairs: Tensor
    count: int


@dataclass(frozen=True)
class Outer:
    """Something like the unknown, something that is not, and a state."""

    velocity: Tensor
    smoothness: Tensor
    inner: Inner


def test_what_is_done_to_the_unknown_is_done_to_its_like() -> None:
    state = Outer(torch.ones(2, 3), torch.ones(3), Inner(torch.ones(4, 2, 3), 7))
    found = carried(state, (2, 3), lambda value: 5 * value)
    assert torch.equal(found.velocity, torch.full((2, 3), 5.0))
    assert torch.equal(found.smoothness, torch.ones(3))
    assert torch.equal(found.inner.pairs, torch.full((4, 2, 3), 5.0))
    assert found.inner.count == 7


@pytest.mark.parametrize("name", METHODS)
def test_states_that_know_single_terms_or_a_snapshot_are_bound_to_their_sum(name: str) -> None:
    method: Any = METHODS[name]()
    state = method.init(Blocks(Quadratics()), X0)
    assert keeps_snapshot(state) == (name in SNAPSHOTS)
    assert bound_to_terms(state) == (name in SNAPSHOTS | {"sag", "saga"})


def test_the_velocity_goes_on_and_the_gradients_of_terms_do_not() -> None:
    momentum = Momentum(batch_size=1)
    first = one_step(momentum, X0, NOTHING)
    assert (first.scale, first.evaluations, first.state.steps) == (1, 3, 3)
    after = Before(first.state, first.scale, (2,), lambda value: -2 * value)
    second = one_step(momentum, first.x, after)
    turned = replace(first.state, velocity=-2 * first.state.velocity)
    blocks = Blocks(Quadratics(), 1, torch.Generator().manual_seed(4))
    expected, state = momentum.step(blocks, first.x, turned, [0, 1, 2], torch.Generator())
    assert torch.equal(second.x, expected)
    assert second.state.steps == state.steps == 6

    sag = SAG(batch_size=1)
    known = one_step(sag, X0, NOTHING)
    again = one_step(sag, known.x, Before(known.state, known.scale, (2,), lambda value: value))
    anew = one_step(sag, known.x, NOTHING)
    assert torch.equal(again.x, anew.x)


class InAnotherMetric(Quadratics):
    """The sum with its field divided by a number."""

    def __init__(self, divisor: float) -> None:
        self.divisor = divisor

    def evaluate(self, x: Vector, idx: Index) -> Evaluation:
        """Mean value and field."""
        found = super().evaluate(x, idx)
        return Evaluation(found.value, found.field / self.divisor)


def test_in_its_unit_the_square_of_the_field_is_the_slope() -> None:
    """With the field a sixteenth of the gradient the slope is sixteen times its square: four times the unknown."""
    assert natural_scale(Armijo(), InAnotherMetric(16.0), X0) == 4
    assert natural_scale(Armijo(), InAnotherMetric(1 / 16), X0) == 1, "the objective rises along so long a step"
    assert natural_scale(Armijo(), InAnotherMetric(-1.0), X0) == 1, "the objective rises along the field"
    assert natural_scale(Momentum(), InAnotherMetric(16.0), X0) == 1, "the method is the same in every unit"
    found = one_step(Armijo(), X0, NOTHING, InAnotherMetric(16.0), None)
    assert found.scale == 4
    # a quarter of the gradient in the unit of four: Armijo tries 2, 1, ... of these
    moved = (X0 - found.x) * 16 / mean_gradient(X0)
    torch.testing.assert_close(moved, moved[0].expand(2))
    kept = one_step(Armijo(), found.x, Before(found.state, 8.0, (2,), lambda value: value), InAnotherMetric(16.0), None)
    assert kept.scale == 8


def test_a_sum_in_another_unit_is_the_same_sum() -> None:
    plain, scaled = Quadratics(), Scaled(Quadratics(), 4.0)
    here, there = plain.evaluate(X0, None), scaled.evaluate(4 * X0, None)
    assert scaled.num_terms == 3
    assert float(there.value) == float(here.value)
    assert torch.equal(there.field, 4 * here.field)
    assert scaled.curvature(X0).tolist() == [1, 1]
    assert MAJORISER.tolist() != [1, 1]
    found = scaled.expect(4 * X0, torch.tensor([1]))
    assert torch.equal(found.statistics, plain.expect(X0, torch.tensor([1])).statistics)
    assert torch.equal(scaled.maximise(found.statistics), 4 * plain.maximise(found.statistics))
    assert torch.equal(scaled.admissible(found.statistics, found.statistics), found.statistics)
