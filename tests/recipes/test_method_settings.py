"""Settings of optimisers: of all of them, every field is known, typed and bounded; nothing is ignored or converted."""

import dataclasses
import math
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from cryorbit.api.jobs import plan_job
from cryorbit.cli.method_settings import read_settings
from cryorbit.core.errors import InputError
from cryorbit.optim.registry import METHODS
from cryorbit.optim.safeguards import Safeguard
from cryorbit.optim.settings import settings_model
from cryorbit.recipes.method_settings import make_method

EVERY = [(name, each.name) for name, kind in METHODS.items() for each in dataclasses.fields(kind)]  # type: ignore[arg-type]
NOT_BY_TEXT = {("preconditioned-sgd", "floor")}
"""A function, which only code can give."""
WRONG: tuple[Any, ...] = ("0.5", "fast", [1], {"a": 1}, math.nan, math.inf, -1, -0.5)
"""What no number of an optimiser may be."""


def default(name: str, field: str) -> Any:
    return getattr(METHODS[name](), field)


@pytest.mark.parametrize(("name", "field"), EVERY)
def test_every_default_can_be_given_and_comes_back(name: str, field: str) -> None:
    value = default(name, field)
    if (name, field) in NOT_BY_TEXT:
        with pytest.raises(InputError, match="unknown setting"):
            make_method(name, {field: value})
        return
    given = dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
    assert make_method(name, {field: given}) == METHODS[name]()


@pytest.mark.parametrize(("name", "field"), [each for each in EVERY if each not in NOT_BY_TEXT])
def test_wrong_types_and_values_out_of_range_are_refused(name: str, field: str) -> None:
    value = default(name, field)
    wrong = WRONG
    if isinstance(value, int) and not isinstance(value, bool):
        wrong = (*WRONG, 2.5, 0, True)
    elif isinstance(value, float):
        wrong = (*WRONG, True)
    for each in wrong:
        with pytest.raises(InputError, match=rf"optimiser {name}: .*'{field}") as told:
            make_method(name, {field: each})
        # pydantic's own words begin so
        assert "Input should" not in str(told.value)


def test_all_numbers_have_a_range() -> None:
    """A field that is a plain number would take any."""
    for name, kind in METHODS.items():
        for field, hint in get_type_hints(kind, include_extras=True).items():
            assert hint not in (int, float, int | None, float | None), f"{name}.{field}"


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("svrg", {"stepsize": 0.5}, "unknown setting 'stepsize'\n.*did you mean 'step_size'"),
        ("svrg", {"safeguard": {"activ": False}}, r"unknown setting 'safeguard.activ'\n.*did you mean 'active'"),
        ("svrg", {"safeguard": {"cap": -1}}, r"'safeguard.cap' is -1\n.*must be above 0"),
        ("svrg", {"safeguard": {"active": "no"}}, r"'safeguard.active' is 'no'\n.*must be true or false"),
        ("svrg", {"safeguard": 3}, r"'safeguard' is 3\n.*must be a table of settings"),
        ("svrg", {"base": "scaler"}, r"'base' is 'scaler'\n.*must be 'curvature' or 'scalar'"),
        ("momentum", {"momentum": 1.0}, r"'momentum' is 1.0\n.*must be below 1"),
        ("momentum", {"batch_size": 10.5}, r"'batch_size' is 10.5\n.*must be a whole number"),
        ("momentum", {"batch_size": True}, r"'batch_size' is true\n.*must be a whole number"),
        ("sgd", {"step_size": None}, r"'step_size' is empty\n.*must be a number"),
        ("em", {"batch_size": 100}, r"'batch_size' is 100\n.*must be left out"),
        ("armijo", {"descent": "0.5"}, r"'descent' is '0.5'\n.*must be a number"),
    ],
)
def test_what_is_wrong_is_said_in_our_words(name: str, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        make_method(name, settings)


def test_what_is_right_is_taken_as_it_is() -> None:
    method: Any = make_method("svrg", {"step_size": 1, "safeguard": {"active": False}, "batch_size": None})
    assert method == METHODS["svrg"](step_size=1, safeguard=Safeguard(active=False), batch_size=None)
    assert method.safeguard.cap == Safeguard().cap


VERBS = {"optimise": {"particles": "particles.star"}, "mra solve": {"observations": "observations.npz"}}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("content", "problem", "fix"),
    [
        ('method = "svrg"\n[settings]\nbase = "scaler"', "'base' is 'scaler'", "it must be 'curvature' or 'scalar'"),
        ('method = "svrg"\n[settings]\nbatch_size = 0', "'batch_size' is 0", "it must be at least 1"),
        ('method = "svrg"\n[settings]\nsafeguard = 3', "'safeguard' is 3", "it must be a table of settings"),
        ('method = "svrgg"', "no method 'svrgg'", "choose one of"),
    ],
)
def test_settings_of_optimisers_are_checked_before_a_job_is_made(
    verb: str, content: str, problem: str, fix: str, tmp_path: Path
) -> None:
    file, output = tmp_path / "settings.toml", tmp_path / "job"
    file.write_text(content)
    with pytest.raises(InputError) as told:
        plan_job(verb, {**VERBS[verb], "output": output}, file)
    assert problem in told.value.problem
    assert told.value.file == file
    assert fix in str(told.value.fix)
    assert not output.exists()


def test_projection_matching_has_no_settings() -> None:
    given = {**VERBS["optimise"], "output": "job", "method": "projection-matching"}
    assert plan_job("optimise", given).config.method == "projection-matching"
    with pytest.raises(InputError, match="projection-matching has no settings"):
        plan_job("optimise", {**given, "settings": {"batch_size": 5}})


def test_an_optimiser_that_is_code_is_not_run_before_its_job_is(tmp_path: Path) -> None:
    given = {**VERBS["mra solve"], "output": tmp_path / "job", "method": "no.such.module:Class"}
    assert plan_job("mra solve", {**given, "settings": {"anything": 1}}).config.settings == {"anything": 1}


@dataclasses.dataclass(frozen=True)
class Own:
    """A user's optimiser, which knows nothing of ranges; one setting has no default."""

    steps: int
    rate: float = 0.1
    batch_size: int | None = None

    def init(self) -> None:
        """Begin."""

    def step(self) -> None:
        """Go on."""


def test_an_optimiser_of_ones_own_is_checked_by_its_annotations() -> None:
    model = settings_model(Own)
    assert set(model.model_fields) == {"steps", "rate", "batch_size"}
    own = f"{__name__}:Own"
    made: Any = make_method(own, {"steps": 3, "rate": 1})
    assert made == Own(3, 1)
    for settings, words in (({}, "'steps' is missing"), ({"steps": 3.5}, "whole number"), ({"step": 3}, "'steps'")):
        with pytest.raises(InputError, match=words):
            make_method(own, settings)


def test_a_setting_given_twice_on_the_command_line_is_refused() -> None:
    assert read_settings(("step-size=0.5", "base=scalar", "batch_size=null")) == {
        "step_size": 0.5,
        "base": "scalar",
        "batch_size": None,
    }
    with pytest.raises(InputError, match="'step_size' was given twice"):
        read_settings(("step_size=0.5", "step-size=0.6"))
