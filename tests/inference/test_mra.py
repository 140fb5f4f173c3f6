"""The finite sum of multireference alignment: likelihood, derivatives, EM, symmetry, streaming."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cryorbit.inference import mra
from cryorbit.inference.mra import MRAOracle, start_unknown
from cryorbit.optim.minimise import Stop, minimise
from cryorbit.optim.protocols import CurvatureOracle, EMOracle, HessianOracle
from cryorbit.optim.registry import METHODS
from cryorbit.simulate.mra import draw_observations, gaussian_pulse, mixture_density

LENGTH, WINDOW, SIGMA = 8, 6, 0.4
seeds = st.integers(0, 10_000)


def problem(seed: int, channels: int = 1, count: int = 60) -> tuple[MRAOracle, Tensor]:
    """A sum over observations of a random signal, and a random unknown whose logits have mean zero."""
    generator = torch.Generator().manual_seed(seed)
    signal = torch.randn(channels, LENGTH, generator=generator, dtype=torch.float64)
    density = torch.rand(LENGTH, generator=generator, dtype=torch.float64)
    observed = draw_observations(signal, density, WINDOW, SIGMA, count, generator)
    x = torch.randn(channels + 1, LENGTH, generator=generator, dtype=torch.float64)
    x[-1] -= x[-1].mean()
    return MRAOracle.of(observed.data, LENGTH, SIGMA), x


def direct_value(oracle: MRAOracle, x: Tensor) -> Tensor:
    """The negative log-likelihood by its definition."""
    channels = len(x) - 1
    data = oracle.observations.view(oracle.num_terms, channels, WINDOW)
    density = x[-1].softmax(0)
    terms = []
    for shift in range(LENGTH):
        moved = x[:-1].roll(shift, 1)[:, :WINDOW]
        distance = (data - moved).square().sum((1, 2))
        terms.append(density[shift] * torch.exp(-distance / (2 * SIGMA**2)))
    return -torch.stack(terms).sum(0).log().mean()


def test_it_can_do_all_that_a_method_may_ask() -> None:
    oracle, _ = problem(0)
    for protocol in (HessianOracle, CurvatureOracle, EMOracle):
        assert isinstance(oracle, protocol)


@pytest.mark.parametrize("channels", [1, 2])
def test_the_value_and_its_gradient_are_those_of_the_definition(channels: int) -> None:
    oracle, x = problem(1, channels)
    x.requires_grad_()
    expected = direct_value(oracle, x)
    (gradient,) = torch.autograd.grad(expected, x)
    found = oracle.evaluate(x.detach(), None)
    torch.testing.assert_close(found.value, expected.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(found.field, gradient, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("channels", [1, 2])
def test_the_gradient_is_that_of_finite_differences(channels: int) -> None:
    oracle, x = problem(2, channels)
    step = 1e-5
    directions = torch.eye(x.numel(), dtype=x.dtype).view(-1, *x.shape)
    slopes = [
        (oracle.evaluate(x + step * way, None).value - oracle.evaluate(x - step * way, None).value) / (2 * step)
        for way in directions
    ]
    torch.testing.assert_close(oracle.evaluate(x, None).field.flatten(), torch.stack(slopes), rtol=1e-6, atol=1e-8)


@settings(deadline=None, max_examples=15)
@given(seed=seeds)
def test_hessian_products_are_differences_of_gradients(seed: int) -> None:
    oracle, x = problem(seed, 2)
    way = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)
    step = 1e-5
    expected = (oracle.evaluate(x + step * way, None).field - oracle.evaluate(x - step * way, None).field) / (2 * step)
    torch.testing.assert_close(oracle.hessian_vector(x, way, None), expected, rtol=1e-5, atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(seed=seeds, channels=st.integers(1, 2))
def test_em_never_raises_the_objective(seed: int, channels: int) -> None:
    oracle, x = problem(seed, channels)
    values = []
    for _ in range(12):
        found = oracle.expect(x, None)
        values.append(found.value)
        x = oracle.maximise(found.statistics)
        assert abs(x[-1].mean()) < 1e-12
    assert (torch.stack(values).diff() <= 1e-13 * values[0].abs()).all()


def test_the_residual_of_em_is_the_gradient_over_the_information() -> None:
    oracle, x = problem(3, 2)
    found, gradient = oracle.expect(x, None), oracle.evaluate(x, None).field
    residual = x - oracle.maximise(found.statistics)
    seen = oracle.shifts.normal(found.statistics[-1]) / SIGMA**2
    torch.testing.assert_close(residual[:-1], gradient[:-1] / seen)
    step = 1e-6
    moved = oracle.maximise(found.statistics - step * torch.eye(3, dtype=x.dtype)[2][:, None] * gradient[-1])
    slope = (moved - oracle.maximise(found.statistics))[-1] / step
    shares = found.statistics[-1]
    expected = -gradient[-1] / shares
    torch.testing.assert_close(slope, expected - expected.mean(), rtol=1e-4, atol=1e-6)


def test_the_jacobian_of_the_residual_is_the_hessian_over_the_curvature_at_a_minimum() -> None:
    oracle, x = problem(4, 1, count=400)
    trace = minimise(oracle, METHODS["sem-vr-quasi-newton"](), x, Stop(1e-15), torch.Generator().manual_seed(0))
    x = trace.x
    way = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    way[-1] -= way[-1].mean()
    step = 1e-5

    def residual(point: Tensor) -> Tensor:
        return point - oracle.maximise(oracle.expect(point, None).statistics)

    slope = (residual(x + step * way) - residual(x - step * way)) / (2 * step)
    expected = oracle.hessian_vector(x, way, None) / oracle.curvature(x)
    expected[-1] -= expected[-1].mean()
    torch.testing.assert_close(slope, expected, rtol=1e-4, atol=1e-6)


@settings(deadline=None, max_examples=20)
@given(seed=seeds)
def test_the_curvature_is_above_the_hessian_at_a_stationary_density(seed: int) -> None:
    oracle, x = problem(seed)
    found = oracle.expect(x, None)
    x[-1] = found.statistics[-1].log()
    way = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)
    counts = oracle.shifts.normal(found.statistics[-1]) / SIGMA**2
    above = torch.cat([counts.expand_as(x[:-1]), x[-1].softmax(0)[None]])
    assert (way * oracle.hessian_vector(x, way, None)).sum() <= (way * above * way).sum() * (1 + 1e-9)


@settings(deadline=None, max_examples=20)
@given(seed=seeds, turn=st.integers(1, LENGTH - 1))
def test_a_shifted_signal_with_the_density_shifted_back_is_the_same_model(seed: int, turn: int) -> None:
    oracle, x = problem(seed, 2)
    turned = torch.cat([x[:-1].roll(turn, 1), x[-1:].roll(-turn, 1)])
    here, there = oracle.expect(x, None), oracle.expect(turned, None)
    torch.testing.assert_close(there.value, here.value, rtol=1e-12, atol=0)
    image, turned_image = oracle.maximise(here.statistics), oracle.maximise(there.statistics)
    torch.testing.assert_close(turned_image[:-1], image[:-1].roll(turn, 1))
    torch.testing.assert_close(turned_image[-1], image[-1].roll(-turn, 0))


def test_adding_a_constant_to_the_logits_changes_nothing() -> None:
    oracle, x = problem(5)
    raised = x.clone()
    raised[-1] += 3.0
    here, there = oracle.evaluate(x, None), oracle.evaluate(raised, None)
    torch.testing.assert_close(there.value, here.value)
    torch.testing.assert_close(there.field, here.field)
    assert abs(here.field[-1].sum()) < 1e-14


def test_chunks_add_up_and_subsets_are_means(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle, x = problem(6, 2)
    whole, product = oracle.expect(x, None), oracle.hessian_vector(x, x, None)
    subset = torch.tensor([3, 17, 44])
    alone = replace(oracle, observations=oracle.observations[subset], energies=oracle.energies[subset])
    torch.testing.assert_close(oracle.expect(x, subset).statistics, alone.expect(x, None).statistics)
    monkeypatch.setattr(mra, "CHUNK", 7)
    chunked = oracle.expect(x, None)
    torch.testing.assert_close(chunked.value, whole.value, rtol=1e-13, atol=0)
    torch.testing.assert_close(chunked.statistics, whole.statistics)
    torch.testing.assert_close(oracle.hessian_vector(x, x, None), product)


def test_an_m_step_does_not_mind_the_scale_of_its_statistics() -> None:
    oracle, x = problem(7)
    statistics = oracle.expect(x, None).statistics
    torch.testing.assert_close(oracle.maximise(statistics), oracle.maximise(250 * statistics))
    # a shift that was never seen has a share of 1e-10, whatever the scale
    statistics[-1, 2] = 0
    rest = statistics[-1] / statistics[-1].sum()
    for scale in (1, 250):
        logits = oracle.maximise(scale * statistics)[-1]
        assert float(logits[3] - logits[2]) == pytest.approx(math.log(float(rest[3]) / 1e-10))


def test_statistics_with_negative_shares_are_mended() -> None:
    oracle, x = problem(8, 2)
    reference = oracle.expect(x, None).statistics
    broken = reference.clone()
    broken[-1, 2] = -0.1
    mended = oracle.admissible(broken, reference)
    assert mended[-1, 2] == 1e-3 * reference[-1, 2]
    assert torch.equal(mended[-1, 3:], reference[-1, 3:])
    assert torch.equal(mended[:-1], reference[:-1])
    assert torch.isfinite(oracle.maximise(mended)).all()


def thesis_problem(seed: int) -> tuple[MRAOracle, Tensor]:
    """The pulse of 16 samples through a window of 12, 1,000 times."""
    generator = torch.Generator().manual_seed(seed)
    density = mixture_density(16, (4.0, 11.0), 2.0)
    observed = draw_observations(gaussian_pulse(16, 2.0), density, 12, 0.2, 1000, generator)
    start = torch.randn(1, 16, generator=generator, dtype=torch.float64)
    return MRAOracle.of(observed.data, 16, 0.2), start_unknown(start / start.norm())


def test_methods_of_both_families_end_at_one_minimum() -> None:
    oracle, start = thesis_problem(1)
    ends = [
        minimise(oracle, METHODS[name](), start, Stop(1e-14, 1500), torch.Generator().manual_seed(0))
        for name in ("svrg", "svrg-quasi-newton", "sem-vr", "sem-vr-statistics", "sem-vr-quasi-newton", "anderson")
    ]
    assert [end.ending for end in ends] == ["converged"] * len(ends)
    values = torch.stack([end.values[-1] for end in ends])
    assert values.max() - values.min() < 1e-11
    gradient = oracle.evaluate(ends[-2].x, None).field
    assert gradient.norm() < 1e-6


def test_the_printed_secant_fails_and_the_corrected_one_does_not() -> None:
    oracle, start = thesis_problem(1)
    corrected = METHODS["sem-vr-quasi-newton"]()
    printed = replace(corrected, secant="printed", product="euclidean")  # type: ignore[type-var]
    bare = replace(printed, safeguard=replace(printed.safeguard, active=False))  # type: ignore[type-var]
    ends = {
        name: minimise(oracle, method, start, Stop(1e-14, 150), torch.Generator().manual_seed(0))
        for name, method in (("corrected", corrected), ("printed", printed), ("bare", bare))
    }
    assert ends["corrected"].ending == "converged"
    assert ends["printed"].ending == "exhausted"
    assert ends["bare"].ending == "diverged"
    assert ends["bare"].interventions.total == 0
    assert math.isfinite(ends["printed"].values[-1])


def test_a_start_has_one_row_more_than_the_signal() -> None:
    """Whatever its channels: the last row holds the logits of a uniform density."""
    signal = torch.arange(1.0, 25.0).view(3, 8)
    unknown = start_unknown(signal)
    assert unknown.shape == (4, 8)
    assert torch.equal(unknown[:-1], signal)
    assert torch.equal(unknown[-1].softmax(0), torch.full((8,), 1 / 8))
