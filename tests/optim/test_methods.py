"""One battery for every method by name: the minimum, the seed, dtype and shape, the state, the count of evaluations."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from typing import Any

import pytest
import torch
from finite_sums import SHAPE, least_squares, logistic_regression

from cryorbit.core.errors import InputError
from cryorbit.core.records import pack, unpack
from cryorbit.optim.blocks import Blocks
from cryorbit.optim.method import Method
from cryorbit.optim.minimise import Stop, Trace, minimise
from cryorbit.optim.protocols import Oracle
from cryorbit.optim.registry import METHODS, find_method

ALL = {**METHODS, **{name: find_method(name) for name in os.environ.get("CRYORBIT_METHODS", "").split()}}
"""Those of the package, and any from outside that are named in the environment."""
NEED_EM = {"em", "stochastic-em", "sem-vr", "sem-vr-statistics", "sem-vr-quasi-newton", "anderson"}
SLOW_ON_LEAST_SQUARES = {
    # natural gradients damp the direction in which all gradients agree, which here is the only one
    "tonga": 2e-3,
}
"""Remaining part of the gap to the minimum after 300 passes, where it is not below 1e-9."""
NOISY = {"sgd", "momentum", "nesterov", "adagrad", "tonga", "online-lbfgs", "hessian-free", "preconditioned-sgd"}
"""Methods whose mini-batch noise stays, so that they end in a ball around a minimum that terms do not share."""


def settings(name: str) -> Method[Any]:
    """The method with blocks of 40 terms, if it has any."""
    method = ALL[name]()
    return method if method.batch_size is None else replace(method, batch_size=40)  # type: ignore[type-var]


def run(oracle: Oracle, name: str, passes: float, seed: int = 0, dtype: torch.dtype = torch.float64) -> Trace:
    start = torch.ones(SHAPE, dtype=dtype)
    return minimise(oracle, settings(name), start, Stop(0.0, passes), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", ALL)
def test_the_minimum_that_all_terms_share_is_found(name: str) -> None:
    problem, solution = least_squares()
    trace = run(problem, name, 300)
    gap = trace.values[-1] / trace.values[0]
    assert gap < SLOW_ON_LEAST_SQUARES.get(name, 1e-9 if name in METHODS else 0.1)
    if name in METHODS and name not in SLOW_ON_LEAST_SQUARES:
        torch.testing.assert_close(trace.x, solution, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", sorted(set(ALL) - NEED_EM))
def test_the_minimum_of_logistic_regression_is_found(name: str) -> None:
    problem, solution = logistic_regression()
    trace = run(problem, name, 150)
    least = problem.evaluate(solution, None).value
    gap = (trace.values[-20:] - least).mean() / (trace.values[0] - least)
    assert gap > -1e-12
    assert gap < (0.25 if name in NOISY or name not in METHODS else 1e-9)


@pytest.mark.parametrize("name", ALL)
def test_the_same_seed_gives_the_same_bits_and_another_does_not(name: str) -> None:
    problem, _ = least_squares()
    first, again, other = (run(problem, name, 3, seed) for seed in (3, 3, 4))
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.values, again.values)
    if settings(name).batch_size is not None:
        assert not torch.equal(first.x, other.x)


@pytest.mark.parametrize("name", ALL)
def test_dtype_and_shape_are_those_of_the_start(name: str) -> None:
    problem, _ = least_squares()
    single = replace(problem, rows=problem.rows.float(), targets=problem.targets.float())
    trace = run(single, name, 10, dtype=torch.float32)
    assert trace.x.dtype == torch.float32
    assert trace.x.shape == SHAPE
    assert trace.values[-1] < trace.values[0]


@pytest.mark.parametrize("name", ALL)
def test_a_state_goes_through_a_checkpoint(name: str) -> None:
    problem, _ = least_squares()
    method = settings(name)
    blocks = Blocks(problem, method.batch_size, torch.Generator().manual_seed(0))
    x = torch.ones(SHAPE, dtype=torch.float64)
    state, order = method.init(blocks, x), range(blocks.count)
    for _ in range(3):
        x, state = method.step(blocks, x, state, order, torch.Generator().manual_seed(1))
    file = io.BytesIO()
    torch.save(pack(state), file)
    file.seek(0)
    restored = unpack(type(state), torch.load(file, weights_only=True))
    assert type(restored) is type(state)
    straight, _ = method.step(blocks, x, state, order, torch.Generator().manual_seed(2))
    resumed, _ = method.step(blocks, x, restored, order, torch.Generator().manual_seed(2))
    assert torch.equal(straight, resumed)


@pytest.mark.parametrize(
    ("name", "an_epoch"),
    [
        ("gradient-descent", 1),
        ("em", 1),
        ("anderson", 1),
        ("sgd", 1),
        ("saga", 1),
        ("online-lbfgs", 2),
        ("svrg", 2),
        ("svrg-quasi-newton", 2),
        ("sem-vr", 2),
        ("sem-vr-statistics", 2),
        ("sem-vr-quasi-newton", 2),
    ],
)
def test_epochs_cost_what_the_books_say(name: str, an_epoch: int) -> None:
    problem, _ = least_squares()
    trace = run(problem, name, 9.5)
    assert (trace.passes.diff() == an_epoch).all()


def test_a_subsampled_hessian_costs_a_product_a_parameter() -> None:
    problem, _ = least_squares()
    method = replace(METHODS["svrg-subsampled-hessian"](), batch_size=25, share=0.3, refresh=2)  # type: ignore[type-var]
    start = torch.ones(SHAPE, dtype=torch.float64)
    trace = minimise(problem, method, start, Stop(0.0, 10), torch.Generator().manual_seed(0))
    torch.testing.assert_close(trace.passes.diff()[:3], torch.tensor([3.8, 2.0, 3.8], dtype=torch.float64))


def test_settings_have_defaults_and_names_lead_to_classes() -> None:
    for name, kind in ALL.items():
        assert isinstance(kind(), Method)
        assert find_method(name) is kind
    assert find_method("cryorbit.optim.sgd:SGD") is METHODS["sgd"]


@pytest.mark.parametrize("name", ["sgdd", "cryorbit.optim.sgd:Nothing", "no.such.module:Class"])
def test_a_name_that_leads_nowhere_is_told(name: str) -> None:
    with pytest.raises(InputError, match="no method"):
        find_method(name)


def test_a_method_that_needs_an_e_step_says_so() -> None:
    problem, _ = logistic_regression()
    with pytest.raises(TypeError, match="no E-step"):
        run(problem, "em", 3)


def test_a_name_that_leads_to_something_else_is_told() -> None:
    with pytest.raises(InputError, match="'math:pi' is not a class"):
        find_method("math:pi")


def test_a_class_that_is_no_method_is_told_what_it_lacks() -> None:
    with pytest.raises(InputError, match="it has no init and no step"):
        find_method("pathlib:Path")
