"""Optimisers with settings that a person gave: each is one that the optimiser has, of its type and within its range."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, get_type_hints

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from cryorbit.core.bounds import MOST
from cryorbit.core.errors import InputError
from cryorbit.core.validation import validated
from cryorbit.optim.method import Method
from cryorbit.optim.registry import find_method
from cryorbit.optim.settings import settings_model
from cryorbit.recipes.settings import Settings

MOMENTUM = "momentum"
"""The optimiser that stages run on unless another is asked for."""


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
    def _known(cls, value: str | None) -> str | None:
        if value is not None and ":" not in value:
            cls.make_method(value, {})
        return value

    @field_validator("settings", check_fields=False)
    @classmethod
    def _fitting(cls, value: dict[str, Any] | None, info: ValidationInfo) -> dict[str, Any] | None:
        name = info.data.get("method")
        if value is not None and name is not None and ":" not in name:
            cls.make_method(name, value)
        return value


class StageSettings(MethodChoice):
    """The optimiser of one stage of a job; a stage whose method is None is skipped."""

    tuned: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType({})
    """Settings that the stage was tuned with, of some optimisers."""

    method: str | None = Field(MOMENTUM, description="Optimiser by name, or module:Class for one of your own.")
    settings: dict[str, Any] | None = Field(
        None,
        description="Settings of the optimiser. Default: those tuned for this stage if there are any for this "
        "optimiser, otherwise its own.",
    )

    def made(self) -> Method[Any]:
        """The optimiser; errors as of `make_method`."""
        assert self.method is not None
        return make_method(self.method, self.tuned.get(self.method, {}) if self.settings is None else self.settings)


class SearchingSettings(StageSettings):
    """The optimiser of a stage whose steps each use new images."""

    method: str = Field(MOMENTUM, description="Optimiser by name, or module:Class for one of your own.")
    pool: int = Field(
        8, ge=2, le=MOST, description="Mini-batches that a variance-reduced optimiser treats as one term of its sum."
    )


def make_method(name: str, settings: Mapping[str, Any]) -> Method[Any]:
    """The optimiser with these settings.

    Raises
    ------
    InputError
        There is no such optimiser, or it has no such setting, or not of this type or in this range.
    """
    kind = find_method(name)
    try:
        values = validated(settings_model(kind), settings)
    except InputError as error:
        raise InputError(f"optimiser {name}: {error.problem}", fix=error.fix) from error
    return _made(kind, values)


def _made(kind: type, settings: BaseModel) -> Any:
    """An object of the class, its defaults where nothing was given."""
    names = settings.model_fields_set
    hints = get_type_hints(kind) if names else {}
    values = {name: getattr(settings, name) for name in names}
    made = {n: _made(hints[n], each) if isinstance(each, BaseModel) else each for n, each in values.items()}
    return kind(**made)
