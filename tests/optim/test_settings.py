"""Settings of optimisers as code makes them: whatever does not fit is refused when it is made, with what is allowed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest

from cryorbit.core.bounds import MOST
from cryorbit.core.errors import InputError
from cryorbit.optim.adagrad import AdaGrad
from cryorbit.optim.armijo import Armijo
from cryorbit.optim.floors import Constant, PartOfLargest
from cryorbit.optim.momentum import Momentum
from cryorbit.optim.preconditioned_sgd import PreconditionedSGD
from cryorbit.optim.registry import METHODS
from cryorbit.optim.safeguards import Safeguard
from cryorbit.optim.sem_vr_statistics import SEMVRStatistics
from cryorbit.optim.settings import settings_model
from cryorbit.optim.svrg import SVRG

WRONG: tuple[Any, ...] = ("0.5", "fast", [1], {"a": 1}, math.nan, math.inf, -1, -0.5)
"""What no setting of an optimiser may be."""
EVERY = [(name, field) for name, kind in METHODS.items() for field in settings_model(kind).model_fields]


@pytest.mark.parametrize(("name", "field"), EVERY)
def test_no_optimiser_can_be_made_with_a_value_that_does_not_fit(name: str, field: str) -> None:
    kind: Any = METHODS[name]
    for each in WRONG:
        for make in (kind, lambda **changes: dataclasses.replace(kind(), **changes)):
            with pytest.raises(InputError, match=rf"{kind.__name__}: the setting '{field}") as told:
                make(**{field: each})
            assert "must be" in str(told.value.fix)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Safeguard(cap=0.0), "Safeguard: the setting 'cap' is 0.0\n.*must be above 0"),
        (lambda: PartOfLargest(1.5), "PartOfLargest: the setting 'part' is 1.5\n.*must be at most 1"),
        (lambda: Constant(-1.0), "Constant: the setting 'least' is -1.0\n.*must be above 0"),
        (lambda: SVRG(base="scaler"), "SVRG: the setting 'base' is 'scaler'\n.*must be 'curvature' or 'scalar'"),
        (lambda: SVRG(safeguard={"active": False}), r"'safeguard' is \{'active': False\}\n.*must be a Safeguard"),
        (lambda: AdaGrad(batch_size=0), "AdaGrad: the setting 'batch_size' is 0\n.*must be at least 1"),
    ],
)
def test_what_is_wrong_and_what_is_allowed_is_said(make: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        make()


@pytest.mark.parametrize(
    ("kind", "name", "inside", "outside"),
    [
        (AdaGrad, "step_size", (1e-9, MOST), (0, MOST + 1)),
        (Momentum, "decay", (0, MOST), (-1e-9, MOST + 1)),
        (Armijo, "growth", (1, MOST), (0.999, MOST + 1)),
        (Armijo, "descent", (1e-9, 0.999), (0, 1)),
        (SEMVRStatistics, "step_size", (1e-9, 1), (0, 1.001)),
        (PreconditionedSGD, "forget", (0, 0.999), (-1e-9, 1)),
        (AdaGrad, "batch_size", (1, MOST), (0, MOST + 1)),
    ],
)
def test_ranges_end_where_they_say(kind: Any, name: str, inside: tuple[float, ...], outside: tuple[float, ...]) -> None:
    for value in inside:
        assert getattr(kind(**{name: value}), name) == value
    for value in outside:
        with pytest.raises(InputError, match=f"'{name}'"):
            kind(**{name: value})


STEPS = {"step_size": 1.0, "decay": 0.01, "power": 0.75}
SAFE = {"active": True, "curvature": 1e-6, "cap": 10.0}
DEFAULTS: dict[str, dict[str, Any]] = {
    "gradient-descent": {"step_size": 1.0},
    "armijo": {"growth": 2.0, "descent": 0.5},
    "sgd": {**STEPS, "batch_size": 100},
    "momentum": {**STEPS, "momentum": 0.9, "batch_size": 100},
    "nesterov": {**STEPS, "momentum": 0.9, "batch_size": 100},
    "adagrad": {"step_size": 5.0, "batch_size": 100},
    "tonga": {**STEPS, "rank": 20, "discount": 0.995, "weight": 1.0, "batch_size": 100},
    "online-lbfgs": {**STEPS, "memory": 30, "damping": 0.5, "safeguard": SAFE, "batch_size": 100},
    "hessian-free": {
        "iterations": 5,
        "tolerance": 0.0,
        "damping": 1.0,
        "floor": 1.0,
        "safeguard": SAFE,
        "decay": 0.01,
        "power": 0.75,
        "batch_size": 300,
    },
    "sag": {"step_size": 1 / 16, "batch_size": 100},
    "saga": {"step_size": 1 / 3, "batch_size": 100},
    "preconditioned-sgd": {
        "forget": 0.9,
        "floor": {"part": 1e-3},
        "growth": 1.2,
        "descent": 0.5,
        "longest": 1.0,
        "batch_size": 100,
    },
    "svrg": {"step_size": 0.5, "safeguard": SAFE, "batch_size": 100},
    "svrg-subsampled-hessian": {
        "step_size": 0.3,
        "share": 1.0,
        "refresh": 5,
        "floor": 0.01,
        "safeguard": SAFE,
        "batch_size": 300,
    },
    "svrg-quasi-newton": {"step_size": 0.3, "memory": 20, "safeguard": SAFE, "batch_size": 300},
    "em": {},
    "stochastic-em": {"step_size": 1.0, "decay": 0.1, "power": 0.75, "batch_size": 100},
    "sem-vr": {"step_size": 1.0, "safeguard": SAFE, "batch_size": 100},
    "sem-vr-statistics": {"step_size": 1.0, "safeguard": SAFE, "batch_size": 100},
    "sem-vr-quasi-newton": {"step_size": 0.3, "memory": 20, "safeguard": SAFE, "batch_size": 300},
    "anderson": {"memory": 5, "safeguard": SAFE},
}
"""Numbers that the comparisons of methods were made with: runs that name none rest on them."""


@pytest.mark.parametrize("name", METHODS)
def test_defaults_are_those_that_methods_were_compared_with(name: str) -> None:
    made: dict[str, Any] = dataclasses.asdict(METHODS[name]())  # type: ignore[call-overload]
    numbers = {each: value for each, value in made.items() if value is not None and not isinstance(value, str)}
    assert numbers == DEFAULTS[name]


def test_groups_are_made_of_what_they_hold() -> None:
    model = settings_model(SVRG)
    given: Any = model.model_validate({"safeguard": {"cap": 3.0}})
    assert (given.safeguard.cap, given.safeguard.model_fields_set) == (3.0, {"cap"})
    assert settings_model(SVRG) is model
    # a function or a tensor cannot be written down
    assert "floor" not in settings_model(PreconditionedSGD).model_fields
