"""Optimisers with settings that a person gave: each is one that the optimiser has, of its type and within its range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_type_hints

from pydantic import BaseModel, ValidationInfo, field_validator

from cryorbit.core.errors import InputError
from cryorbit.core.validation import validated
from cryorbit.optim.method import Method
from cryorbit.optim.registry import find_method
from cryorbit.optim.settings import settings_model
from cryorbit.recipes.settings import Settings


class MethodChoice(Settings):
    """Base of configs with a ``method`` and its ``settings``: what does not fit is refused before there is a job.

    An optimiser named as ``module:Class`` is code, which is run when the job is: its settings are checked then.
    """

    @classmethod
    def make_method(cls, name: str, settings: Mapping[str, Any]) -> Method[Any]:
        """The optimiser ``name`` with these settings; ``InputError`` as `make_method` raises it."""
        return make_method(name, settings)

    @field_validator("method", check_fields=False)
    @classmethod
    def _known(cls, value: str) -> str:
        if ":" not in value:
            cls.make_method(value, {})
        return value

    @field_validator("settings", check_fields=False)
    @classmethod
    def _fitting(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        name = info.data.get("method")
        if name is not None and ":" not in name:
            cls.make_method(name, value)
        return value


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


def _made(kind: type, given: BaseModel) -> Any:
    """An object of the class, its defaults where nothing was given."""
    hints = get_type_hints(kind) if given.model_fields_set else {}
    values = {name: getattr(given, name) for name in given.model_fields_set}
    return kind(**{n: _made(hints[n], value) if isinstance(value, BaseModel) else value for n, value in values.items()})
