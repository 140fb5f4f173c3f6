"""Parts that methods are made of: blocks, limited memory, safeguards, line search, spectrum, stopping."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import pytest
import torch
from finite_sums import SHAPE, LeastSquares, least_squares, logistic_regression
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cryorbit.optim.anderson import mixed
from cryorbit.optim.blocks import Blocks
from cryorbit.optim.gradient_descent import GradientDescent
from cryorbit.optim.hessian_free import HessianFree
from cryorbit.optim.limited_memory import InverseHessian, Memory
from cryorbit.optim.minimise import Stop, find_ending, minimise
from cryorbit.optim.protocols import Evaluation
from cryorbit.optim.registry import METHODS
from cryorbit.optim.safeguards import Interventions, Safeguard, norm
from cryorbit.optim.schedules import annealed, growing_momentum
from cryorbit.optim.sem_vr_statistics import SEMVRStatistics
from cryorbit.optim.smoothness import find_smoothness
from cryorbit.optim.snapshots import Field, Gradient, Residual, Snapshot
from cryorbit.optim.svrg import SVRG
from cryorbit.optim.svrg_subsampled_hessian import limited_spectrum
from cryorbit.optim.tonga import compress
from cryorbit.optim.variance_reduction import Course, Epoch, StepRule


@settings(deadline=None, max_examples=25)
@given(size=st.integers(1, 260), seed=st.integers(0, 1000))
def test_the_mean_over_blocks_is_the_mean_over_terms(size: int, seed: int) -> None:
    problem, _ = least_squares()
    blocks = Blocks(problem, size, torch.Generator().manual_seed(seed))
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    whole = problem.evaluate(x, None)
    found = [blocks.evaluate(x, block) for block in range(blocks.count)]
    torch.testing.assert_close(torch.stack([each.value for each in found]).mean(), whole.value)
    torch.testing.assert_close(torch.stack([each.field for each in found]).mean(0), whole.field)
    assert blocks.passes == 1


@pytest.mark.parametrize("field", [Gradient(), Residual()])
def test_variance_is_reduced_to_nothing_at_the_snapshot(field: Field) -> None:
    problem, _ = least_squares()
    blocks = Blocks(problem, 40, torch.Generator().manual_seed(0))
    x = torch.ones(SHAPE, dtype=torch.float64)
    snapshot = field.snapshot(blocks, x)
    for block in range(blocks.count):
        torch.testing.assert_close(field.at(blocks, x, block), snapshot.rows[block])
    expected = problem.evaluate(x, None).field
    if isinstance(field, Residual):
        expected = expected / problem.curvature(x)
    torch.testing.assert_close(snapshot.field, expected)


def test_hessian_products_by_differences_are_those_of_autograd() -> None:
    problem, _ = logistic_regression()
    blocks = Blocks(problem)
    x, vector = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact = torch.autograd.functional.hvp(lambda point: problem.evaluate(point, None).value, x, vector)[1]
    torch.testing.assert_close(blocks.hessian_vector(x, vector), exact, rtol=1e-6, atol=1e-8)
    assert blocks.passes == 2
    assert not blocks.hessian_vector(x, torch.zeros_like(x)).any()


def dense_bfgs(memory: Memory, base: torch.Tensor, metric: torch.Tensor) -> torch.Tensor:
    """The inverse Hessian as a matrix, by the BFGS formula with adjoints in the weighted product."""
    inverse, one, weights = torch.diag(base), torch.eye(len(base), dtype=base.dtype), torch.diag(metric)
    for step, change in zip(memory.steps, memory.changes, strict=True):
        product = step @ weights @ change
        left = one - torch.outer(step, change @ weights) / product
        right = one - torch.outer(change, step @ weights) / product
        inverse = left @ inverse @ right + torch.outer(step, step @ weights) / product
    return inverse


@settings(deadline=None, max_examples=25)
@given(pairs=st.integers(0, 5), seed=st.integers(0, 1000))
def test_the_compact_form_is_the_bfgs_formula_in_the_weighted_product(pairs: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    metric, base = torch.rand(2, 6, generator=generator, dtype=torch.float64) + 0.5
    steps = torch.randn(pairs, 6, generator=generator, dtype=torch.float64)
    changes = steps + 0.3 * torch.randn(pairs, 6, generator=generator, dtype=torch.float64)
    memory = Memory(steps, changes)
    vector = torch.randn(6, generator=generator, dtype=torch.float64)
    expected = dense_bfgs(memory, base, metric) @ vector
    torch.testing.assert_close(InverseHessian.of(memory, base, metric)(vector), expected, rtol=1e-7, atol=1e-7)


def test_a_memory_forgets_the_oldest_and_can_drop_what_has_no_curvature() -> None:
    memory = Memory.empty(torch.zeros(2))
    for number in range(4):
        memory = memory.with_pair(torch.full((2,), float(number)), torch.tensor([1.0, -number]), 3)
    assert memory.steps[:, 0].tolist() == [1.0, 2.0, 3.0]
    assert len(memory.positive(torch.tensor([10.0, 1.0]))) == 3
    assert len(memory.positive(torch.tensor([1.5, 1.0]))) == 1
    # no curvature at all is not positive: it would be divided by
    assert len(memory.positive(torch.tensor([2.0, 1.0]))) == 1


def test_the_safeguard_steps_in_and_counts() -> None:
    guard, one, plain = Safeguard(cap=2.0), torch.ones(()), torch.tensor([1.0, 0.0])
    count = Interventions()
    kept, count = guard.limit(torch.tensor([1.5, 1.0]), plain, one, count)
    assert kept.tolist() == [1.5, 1.0]
    assert count.total == 0
    turned, count = guard.limit(torch.tensor([-1.0, 5.0]), plain, one, count)
    assert torch.equal(turned, plain)
    capped, count = guard.limit(torch.tensor([3.0, 4.0]), plain, one, count)
    torch.testing.assert_close(capped, torch.tensor([1.2, 1.6]))
    assert count == Interventions(uphill=1, caps=1)
    assert not guard.trusts(plain, torch.tensor([0.0, 1.0]), one)
    assert guard.refuses(torch.tensor(2.0), torch.tensor(1.0))
    assert guard.refuses(torch.tensor(math.nan), torch.tensor(1.0))
    assert not guard.refuses(torch.tensor(1.0), torch.tensor(1.0))
    # the objective is known to 1e-13 of itself
    for value, refused in ((-2 + 1.5e-13, False), (-2 + 2.5e-13, True)):
        assert (
            guard.refuses(torch.tensor(value, dtype=torch.float64), torch.tensor(-2.0, dtype=torch.float64)) == refused
        )


def test_the_safeguard_measures_in_the_weighted_product() -> None:
    guard, metric = Safeguard(cap=2.0), torch.tensor([4.0, 1.0])
    assert float(norm(torch.tensor([2.0, 3.0]), metric)) == 5
    # of length 2 is the plain step: 4 is the cap, and 5 the length of what is wanted
    capped, count = guard.limit(torch.tensor([2.0, 3.0]), torch.tensor([1.0, 0.0]), metric, Interventions())
    torch.testing.assert_close(capped, 0.8 * torch.tensor([2.0, 3.0]))
    assert count == Interventions(caps=1)
    step, change = torch.tensor([1.0, -1.0]), torch.tensor([1.0, 2.0])
    assert guard.trusts(step, change, metric)
    assert not guard.trusts(step, change, torch.ones(()))


def test_a_safeguard_that_is_off_lets_everything_pass() -> None:
    guard, one = replace(Safeguard(), active=False), torch.ones(())
    wild = torch.tensor([-1e9, 1.0])
    kept, count = guard.limit(wild, torch.ones(2), one, Interventions())
    assert torch.equal(kept, wild)
    assert count.total == 0
    assert guard.trusts(wild, -wild, one)
    assert not guard.refuses(torch.tensor(2.0), torch.tensor(1.0))


def test_statistics_move_less_after_an_epoch_that_was_taken_back() -> None:
    even, solution = least_squares()
    # terms far steeper than the majoriser of them all, each of them a mini-batch
    steep = torch.ones(60, dtype=torch.float64)
    steep[::20] = 3
    problem = LeastSquares(steep[:, None, None] * even.rows[:60], steep * even.targets[:60])
    method = SEMVRStatistics(batch_size=1)
    start, stop = torch.ones(SHAPE, dtype=torch.float64), Stop(0.0, 100)
    guarded, bare = (
        minimise(problem, each, start, stop, torch.Generator().manual_seed(0))
        for each in (method, replace(method, safeguard=Safeguard(active=False)))
    )
    assert guarded.interventions is not None
    assert 0 < guarded.interventions.rises < 5
    torch.testing.assert_close(guarded.x, solution, rtol=0, atol=1e-6)
    assert not bare.values[-1] < bare.values[0]


def test_an_epoch_that_rises_is_taken_back() -> None:
    problem, _ = least_squares()
    wild = SVRG(step_size=8.0, base="scalar", batch_size=40)
    start = torch.ones(SHAPE, dtype=torch.float64)
    guarded = minimise(problem, wild, start, Stop(0.0, 60), torch.Generator().manual_seed(0))
    bare = replace(wild, safeguard=Safeguard(active=False))
    loose = minimise(problem, bare, start, Stop(0.0, 60), torch.Generator().manual_seed(0))
    assert guarded.interventions is not None
    assert guarded.interventions.rises > 0
    assert guarded.values[-1] < 1e-3 * guarded.values[0]
    assert not loose.values[-1] < loose.values[0]


@pytest.mark.parametrize("steepness", [0.03, 1.0, 30.0])
def test_smoothness_allows_a_step_that_descends_and_is_not_wasteful(steepness: float) -> None:
    problem, _ = logistic_regression()
    problem = replace(problem, rows=steepness * problem.rows, ridge=0.1 * steepness**2)
    x = torch.ones(SHAPE, dtype=torch.float64) / steepness
    blocks = Blocks(problem)
    found = find_smoothness(blocks, x, None)
    assert math.log2(found) == round(math.log2(found))
    here = problem.evaluate(x, None)
    squared = here.field.square().sum()

    def enough(curvature: torch.Tensor) -> bool:
        value = problem.evaluate(x - here.field / curvature, None).value
        return bool(value <= here.value - squared / (2 * curvature))

    assert enough(found)
    assert not enough(found / 2)
    # the start, and every trial from 1 to the answer and the one beyond it
    assert blocks.passes <= 3 + abs(math.log2(found))


def test_schedules() -> None:
    assert annealed(0, 0.01, 0.75) == 1
    assert annealed(1500, 0.01, 0.75) == pytest.approx(1 / 8)
    assert [growing_momentum(step) for step in (0, 99, 100, 300, 10**6)] == pytest.approx([0.5, 0.5, 0.75, 0.875, 0.9])


def test_a_spectrum_is_cut_at_its_rank_and_floor() -> None:
    values = torch.tensor([1e-9, 5.0, 2.0, 1.0])
    assert limited_spectrum(values, None, 1e-4).tolist() == pytest.approx([5e-4, 5.0, 2.0, 1.0])
    assert limited_spectrum(values, 2, 1e-4).tolist() == [1.0, 5.0, 2.0, 1.0]


def test_compressed_factors_keep_the_covariance_they_can(generator: torch.Generator) -> None:
    factors = torch.randn(3, 5, generator=generator, dtype=torch.float64)[[0, 1, 2, 0, 1]]
    kept = compress(factors, 3)
    torch.testing.assert_close(kept.mT @ kept, factors.mT @ factors)


def test_anderson_solves_a_linear_problem_in_as_many_steps_as_it_has_unknowns(generator: torch.Generator) -> None:
    matrix = torch.randn(3, 3, generator=generator, dtype=torch.float64) / 4
    points = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    residuals = points - (points @ matrix.mT + 1)
    memory = Memory(points.diff(dim=0), residuals.diff(dim=0))
    fixed = torch.linalg.solve(torch.eye(3, dtype=torch.float64) - matrix, torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(points[-1] - mixed(memory, residuals[-1]), fixed, rtol=1e-6, atol=1e-6)


def test_conjugate_gradients_reach_the_newton_step() -> None:
    problem, solution = least_squares()
    method = HessianFree(iterations=12, damping=1e-9, floor=0.0, batch_size=None)
    start = torch.ones(SHAPE, dtype=torch.float64)
    blocks = Blocks(problem)
    x, _ = method.step(blocks, start, method.init(blocks, start), [0], torch.Generator())
    torch.testing.assert_close(x, solution, rtol=0, atol=1e-6)


@dataclass(frozen=True)
class Saddle:
    """``sum(curvatures x^2) / 2``, one term."""

    curvatures: Tensor
    num_terms: int = 1

    def evaluate(self, x: Tensor, idx: Tensor | None) -> Evaluation:
        """Value and gradient."""
        del idx
        return Evaluation((self.curvatures * x**2).sum() / 2, self.curvatures * x)

    def hessian_vector(self, x: Tensor, vector: Tensor, idx: Tensor | None) -> Tensor:
        """The Hessian is the same everywhere."""
        del x, idx
        return self.curvatures * vector

    def curvature(self, x: Tensor) -> Tensor:
        """Unit steps are safe."""
        return torch.ones_like(x)


def test_steps_are_bounded_where_curvature_is_negative() -> None:
    # with the damping the curvature is next to nothing: a Newton step would be a thousand times as long
    saddle, start = Saddle(torch.tensor([-0.999, -0.999]).double()), torch.tensor([1.0, 2.0]).double()
    method, blocks = HessianFree(batch_size=None), Blocks(saddle)
    x, state = method.step(blocks, start, method.init(blocks, start), [0], torch.Generator())
    torch.testing.assert_close(x, start - 10 * saddle.curvatures * start)
    assert state.interventions.caps == 1


def test_the_loop_stops_for_every_reason_and_keeps_what_is_asked() -> None:
    problem, _ = least_squares()
    start = torch.ones(SHAPE, dtype=torch.float64)
    began = time.perf_counter()
    done = minimise(problem, GradientDescent(), start, Stop(1e-6), torch.Generator(), keep_snapshots=True)
    assert 0 <= done.seconds[0] <= done.seconds[-1] <= time.perf_counter() - began
    assert (done.seconds.diff() >= 0).all()
    assert done.ending == "converged"
    assert done.values.diff()[-1].abs() < 1e-6
    assert (done.values.diff()[:-1].abs() >= 1e-6).all()
    assert torch.equal(done.snapshots[-1], done.x)
    assert len(done.snapshots) == len(done.values)
    five = minimise(problem, GradientDescent(), start, Stop(0.0, 5), torch.Generator())
    assert five.passes[-1] == 5
    assert len(five.snapshots) == 0
    assert len(minimise(problem, GradientDescent(), start, Stop(0.0, seconds=0), torch.Generator()).values) == 2
    wild = minimise(problem, GradientDescent(step_size=1e6), start, Stop(0.0), torch.Generator())
    assert wild.ending == "diverged"


@pytest.mark.parametrize(
    ("values", "ending"),
    [
        ([-2.0, 3.1e6, 3.1e6, 3.1e6], "diverged"),
        ([-2.0, math.nan, math.inf, 3.1e6], "diverged"),
        ([-2.0, 2.9e6, 3.1e6, 3.2e6], None),
        ([-2.0, -3.0, -3.0 - 1e-8], "converged"),
        ([-2.0, -3.0, -3.0 - 1e-6], None),
    ],
)
def test_a_course_diverges_a_million_times_its_start_above_it_three_times_in_a_row(
    values: list[float], ending: str | None
) -> None:
    """The start is at -2: its size and one are 3, and the ceiling lies 3,000,000 above it."""
    assert find_ending(values, 1, 1, Stop(1e-7, 10, 10)) == ending


def test_a_course_ends_when_its_passes_or_its_time_are_used_up() -> None:
    for passes, seconds, ending in ((9, 9, None), (10, 9, "exhausted"), (9, 10, "exhausted")):
        assert find_ending([2.0, 1.0], passes, seconds, Stop(1e-7, 10, 10)) == ending


def test_steps_are_halved_at_a_rise_and_grow_again_by_a_quarter_an_epoch() -> None:
    problem, _ = least_squares()
    blocks, x = Blocks(problem), torch.ones(SHAPE, dtype=torch.float64)
    epoch, here = Epoch(Gradient()), Gradient().snapshot(blocks, x)
    lower, higher = (replace(here, value=here.value + change) for change in (-1.0, 1.0))
    start, taken, course = epoch.begin(blocks, x, Course(lower, 0.8, 1, Interventions(rises=4)))
    assert (start is lower, course.snapshot is lower, torch.equal(taken.x, x)) == (True, True, True)
    assert (course.damping, course.rises, course.interventions.rises) == (0.4, 2, 5)
    for damping, following in ((0.4, 0.5), (0.9, 1.0)):
        start, _, course = epoch.begin(blocks, x, Course(higher, damping, 2))
        assert start is course.snapshot
        assert torch.equal(start.x, x)
        assert (course.damping, course.rises, course.interventions.rises) == (following, 0, 0)


def test_after_rises_there_is_one_step_learned_first_and_then_ever_shorter_ones() -> None:
    problem, _ = least_squares()
    x, along = torch.zeros(SHAPE, dtype=torch.float64), torch.ones(SHAPE, dtype=torch.float64)
    snapshot, rule = Snapshot(x, x.new_zeros(()), along, along[None]), StepRule(lambda v: v, lambda v: 3 * v, along)
    ends = [
        Epoch(Gradient(), step_size=0.1).go(Blocks(problem), rule, Course(snapshot, 0.5, rises), [0])[0]
        for rises in (1, 2, 3, 4)
    ]
    assert [float(end.flatten()[0]) for end in ends] == [-3, -1, -0.5, -0.25]


def test_probes_and_the_exact_diagonal_agree_on_average() -> None:
    problem, _ = least_squares()
    method = replace(METHODS["preconditioned-sgd"](), batch_size=None)  # type: ignore[type-var]
    blocks, x = Blocks(problem), torch.ones(SHAPE, dtype=torch.float64)
    state, generator = method.init(blocks, x), torch.Generator().manual_seed(0)
    for _ in range(300):
        _, state = method.step(blocks, x, state, [0], generator)
    exact = problem.rows.square().mean(0)
    torch.testing.assert_close(state.mean_probe, exact, rtol=0.05, atol=0)
