"""What methods of variance reduction and of expectation maximisation do and no others: snapshots, rises, secants."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from by_hand_snapshots import residual
from quadratics import (
    HESSIANS,
    MAJORISER,
    X0,
    L,
    Quadratics,
    mean_gradient,
    minimum,
    one_by_one,
    stepped,
    value,
)

from cryorbit.optim.anderson import Anderson, AndersonState
from cryorbit.optim.limited_memory import Memory
from cryorbit.optim.sem_vr import SEMVR
from cryorbit.optim.sem_vr_quasi_newton import SEMVRQuasiNewton
from cryorbit.optim.sem_vr_statistics import SEMVRStatistics
from cryorbit.optim.svrg import SVRG
from cryorbit.optim.svrg_quasi_newton import SVRGQuasiNewton
from cryorbit.optim.svrg_subsampled_hessian import SVRGSubsampledHessian


def test_at_its_snapshot_svrg_takes_the_step_of_all_terms_whatever_the_block() -> None:
    for term in range(3):
        x, _, blocks = stepped(SVRG(base="scalar", batch_size=1), [[term]])
        torch.testing.assert_close(x, X0 - 0.5 / L * mean_gradient(X0))
        assert blocks.evaluations == 4


@pytest.mark.parametrize("kind", [SVRG, SEMVR, SVRGQuasiNewton, SEMVRQuasiNewton, SVRGSubsampledHessian])
def test_an_epoch_can_end_at_the_average_of_its_iterates(kind: Any) -> None:
    points = [stepped(kind(batch_size=1), [[0, 1, 2][:n]])[0] for n in (1, 2, 3)]
    x, _, _ = stepped(kind(restart="average", batch_size=1), [[0, 1, 2]])
    torch.testing.assert_close(x, (points[0] + points[1] + points[2]) / 3)


def test_a_second_rise_in_a_row_makes_ever_shorter_plain_steps_from_the_snapshot() -> None:
    _, state, _ = stepped(SVRG(base="scalar", batch_size=1), [[0]])
    blocks, generator = one_by_one(Quadratics()), torch.Generator()
    method, far = SVRG(base="scalar", batch_size=1), 100 * X0
    for rises, length in ((1, 1.0), (2, 1.0), (3, 0.5), (4, 0.25)):
        x, state = method.step(blocks, far, state, [1], generator)
        torch.testing.assert_close(x, X0 - length / L * mean_gradient(X0))
        assert (state.course.rises, state.course.damping) == (rises, 0.5**rises)
    x, state = method.step(blocks, x, state, [1], generator)
    # damping comes back, by a quarter an epoch
    assert (state.course.rises, state.course.damping) == (0, 1.25 / 16)
    assert state.course.interventions.rises == 4
    torch.testing.assert_close(
        x, state.course.snapshot.x - 0.5 * 1.25 / 16 / L * mean_gradient(state.course.snapshot.x)
    )


@pytest.mark.parametrize("kind", [SVRGQuasiNewton, SEMVRQuasiNewton])
def test_learned_curvature_is_forgotten_after_two_rises(kind: Any) -> None:
    method = kind(batch_size=1)
    blocks, generator = one_by_one(Quadratics()), torch.Generator()
    _, state = method.step(blocks, X0, method.init(blocks, X0), [0], generator)
    for pairs in (1, 0):
        _, state = method.step(blocks, 100 * X0, state, [0], generator)
        assert len(state.memory) == pairs


def test_the_printed_secant_is_the_change_of_the_em_map() -> None:
    method = SEMVRQuasiNewton(secant="printed", batch_size=1)
    x1, _, _ = stepped(method, [[0]])
    _, state, _ = stepped(method, [[0], [1]])
    torch.testing.assert_close(state.memory.changes[0], (x1 - residual(x1)) - (X0 - residual(X0)))
    corrected = stepped(replace(method, secant="corrected"), [[0], [1]])[1]
    torch.testing.assert_close(corrected.memory.changes[0], residual(x1) - residual(X0))
    torch.testing.assert_close(corrected.memory.steps[0], x1 - X0)


def test_the_quasi_newton_step_measures_in_the_curvature_where_there_is_one() -> None:
    x1, _, _ = stepped(SVRGQuasiNewton(batch_size=1), [[0]])
    torch.testing.assert_close(x1, X0 - 0.3 * mean_gradient(X0) / MAJORISER)


def test_a_subsampled_hessian_is_that_of_some_blocks_is_floored_and_kept_for_some_epochs() -> None:
    method = SVRGSubsampledHessian(step_size=1.0, share=1 / 3, refresh=2, batch_size=1)
    x, _, _ = stepped(method, [[0]])
    candidates = [X0 - torch.linalg.solve(hessian, mean_gradient(X0)) for hessian in HESSIANS]
    assert sum(torch.allclose(x, each) for each in candidates) == 1
    whole = replace(method, share=1.0)
    torch.testing.assert_close(stepped(whole, [[0]])[0], minimum())
    floored, _, _ = stepped(replace(whole, floor=1.0, base="scalar"), [[0]])
    torch.testing.assert_close(floored, X0 - mean_gradient(X0) / torch.linalg.eigvalsh(HESSIANS.mean(0))[-1])
    # a snapshot and a step are four evaluations, a product with each block for each unknown is six
    small = replace(whole, step_size=0.1)
    assert [stepped(small, [[0]] * epochs)[2].evaluations for epochs in (1, 2, 3)] == [10, 14, 24]


def test_a_hessian_is_taken_anew_after_a_rise() -> None:
    method = SVRGSubsampledHessian(refresh=100, batch_size=1)
    blocks, generator = one_by_one(Quadratics()), torch.Generator().manual_seed(0)
    _, state = method.step(blocks, X0, method.init(blocks, X0), [0], generator)
    before = blocks.evaluations
    x, after = method.step(blocks, 100 * X0, state, [0], generator)
    # a snapshot of three, three products for each of two unknowns; the step from the old snapshot costs nothing
    assert blocks.evaluations - before == 9
    assert (after.age, after.course.rises) == (1, 1)
    torch.testing.assert_close(x, minimum())


def test_statistics_that_raised_the_objective_are_taken_back() -> None:
    _, state, _ = stepped(SEMVRStatistics(batch_size=1), [[0]])
    x, after = SEMVRStatistics(batch_size=1).step(one_by_one(Quadratics()), 100 * X0, state, [0], torch.Generator())
    torch.testing.assert_close(x, X0 - residual(X0))
    assert (after.part, after.interventions.rises) == (0.25, 1)


def test_anderson_goes_back_to_plain_em_where_the_objective_rose() -> None:
    low = torch.tensor(sum(value(term, X0) for term in range(3)) / 3 - 1, dtype=torch.float64)
    state = AndersonState(Memory(X0[None], X0[None]), X0, X0 + 1, low)
    x, after, _ = stepped(Anderson(), [[0]], state)
    assert torch.equal(x, X0 + 1)
    assert (len(after.memory), after.x, after.interventions.rises) == (0, None, 1)
