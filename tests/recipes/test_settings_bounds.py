"""Every number among the settings of every verb has a lowest and a highest value, and is finite."""

import dataclasses
import math
from collections.abc import Iterator
from importlib import import_module
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import annotated_types
import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cryorbit.api.recipe_table import CONFIGS
from cryorbit.core.errors import InputError
from cryorbit.core.validation import validated
from cryorbit.optim.registry import METHODS
from cryorbit.optim.settings import settings_model
from cryorbit.recipes.inspect import InspectConfig
from cryorbit.recipes.mra import SimulateMRAConfig
from cryorbit.recipes.simulate import SimulateConfig

ALL: dict[str, type[BaseModel]] = {
    **{
        verb: getattr(import_module(place.partition(":")[0]), place.partition(":")[2])
        for verb, place in CONFIGS.items()
    },
    "simulate": SimulateConfig,
    "mra simulate": SimulateMRAConfig,
    "inspect": InspectConfig,
    **{f"optimiser {name}": settings_model(method) for name, method in METHODS.items()},
}


def numbers(model: Any, prefix: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Dotted name of every number among the settings of a model or dataclass, and what it is annotated with."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        for name, field in model.model_fields.items():
            yield from _of_hint(field.annotation, list(field.metadata), prefix + name)
    else:
        for name, hint in get_type_hints(model, include_extras=True).items():
            yield from _of_hint(hint, [], prefix + name)


def _of_hint(hint: Any, marks: list[Any], name: str) -> Iterator[tuple[str, list[Any]]]:
    if get_origin(hint) is Annotated:
        inner, *more = get_args(hint)
        flat = [each for mark in more for each in (mark.metadata if isinstance(mark, FieldInfo) else [mark])]
        yield from _of_hint(inner, marks + flat, name)
    elif get_origin(hint) in (Union, UnionType, tuple):
        for each in get_args(hint):
            yield from _of_hint(each, marks, name)
    elif isinstance(hint, type) and (issubclass(hint, BaseModel) or dataclasses.is_dataclass(hint)):
        yield from numbers(hint, f"{name}.")
    elif hint in (int, float):
        yield name, marks


@pytest.mark.parametrize("verb", ALL)
def test_every_number_has_bounds(verb: str) -> None:
    found = list(numbers(ALL[verb]))
    assert found or verb.startswith("optimiser")
    for name, marks in found:
        assert any(isinstance(mark, annotated_types.Ge | annotated_types.Gt) for mark in marks), name
        assert any(isinstance(mark, annotated_types.Le | annotated_types.Lt) for mark in marks), name


def nested(name: str, value: object) -> dict[str, Any]:
    """Settings in which one has a value."""
    for part in reversed(name.split(".")):
        value = {part: value}
    return value  # type: ignore[return-value]


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 1e300, -1e300, pytest.param(10**400, id="10**400")])
@pytest.mark.parametrize("verb", CONFIGS)
def test_what_is_beyond_them_is_refused_by_name(verb: str, value: float) -> None:
    given = {name: "a" for name, field in ALL[verb].model_fields.items() if field.is_required()}
    given |= {"maps": ["a", "b"]} if "maps" in given else {}
    given |= {"half1": "a", "half2": "b"} if verb == "postprocess" else {}
    for name, _ in numbers(ALL[verb]):
        with pytest.raises(InputError, match=name.rpartition(".")[2]):
            validated(ALL[verb], given | nested(name, value))
