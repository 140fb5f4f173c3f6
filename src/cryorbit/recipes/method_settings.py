"""Optimisers with settings that a person gave: each is one that the optimiser has, of its type and within its range."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model
from pydantic.errors import PydanticSchemaGenerationError

from cryorbit.core.errors import InputError
from cryorbit.optim.method import Method
from cryorbit.optim.registry import find_method
from cryorbit.recipes.config import validated
from cryorbit.recipes.settings import MOMENTUM, OptimiserSettings, Settings


class MethodSettings(Settings):
    """Settings as the fields of an optimiser's class have them; what is given is never converted."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


def make_method(name: str, settings: Mapping[str, Any]) -> Method[Any]:
    """The optimiser with these settings.

    Raises
    ------
    InputError
        There is no such optimiser, or it has no such setting, or not of this type or in this range.
    """
    kind = find_method(name)
    try:
        given = validated(settings_model(kind), settings)
    except InputError as error:
        raise InputError(f"optimiser {name}: {error.problem}", mend=error.mend) from error
    return _made(kind, given)


def method_of(chosen: OptimiserSettings) -> Method[Any]:
    """The optimiser that a stage of a job runs on; errors as of `make_method`."""
    own = chosen.tuned if chosen.method == MOMENTUM else {}
    return make_method(chosen.method, dict(own if chosen.settings is None else chosen.settings))


def settings_model(kind: type) -> type[MethodSettings]:
    """What may be given for the fields of a dataclass, those of dataclasses within it as groups.

    Fields that text cannot stand for, functions say, are left out. Ranges are those of the fields' annotations.
    """
    if not dataclasses.is_dataclass(kind):
        return MethodSettings
    hints = get_type_hints(kind, include_extras=True)
    found: dict[str, Any] = {}
    for each in dataclasses.fields(kind):
        hint = hints[each.name]
        if dataclasses.is_dataclass(hint):
            group = settings_model(hint) if isinstance(hint, type) else MethodSettings
            # strict, it would take no table for a group: what is in it is strict by itself
            found[each.name] = (group, Field(default_factory=group, strict=False))
        elif _can_be_given(hint):
            needed = each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
            found[each.name] = (hint, ... if needed else None)
    model: type[MethodSettings] = create_model(kind.__name__, __base__=MethodSettings, **found)
    return model


def _can_be_given(hint: Any) -> bool:
    try:
        TypeAdapter(hint)
    except PydanticSchemaGenerationError:
        return False
    return True


def _made(kind: type, given: BaseModel) -> Any:
    """An object of the class, its defaults where nothing was given."""
    hints = get_type_hints(kind) if given.model_fields_set else {}
    values = {name: getattr(given, name) for name in given.model_fields_set}
    return kind(**{n: _made(hints[n], value) if isinstance(value, BaseModel) else value for n, value in values.items()})
