"""Settings of optimisers: types and ranges are those of the annotations, and are checked whenever an object is made.

One model of a class serves what a person writes (`recipes.method_settings`) and what code passes: both are refused in
the same words, before any work starts.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model
from pydantic.errors import PydanticSchemaGenerationError

from cryorbit.core.errors import InputError
from cryorbit.core.validation import validated


class SettingsModel(BaseModel):
    """Settings as the fields of a dataclass have them; an unknown name is an error, and no value is converted."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


@cache
def settings_model(kind: type) -> type[SettingsModel]:
    """The model of the fields of a dataclass, those of dataclasses within it as groups.

    Fields that text cannot stand for (functions, tensors) are left out. Ranges are those of the fields' annotations.
    """
    if not dataclasses.is_dataclass(kind):
        return SettingsModel
    hints = get_type_hints(kind, include_extras=True)
    fields: dict[str, Any] = {}
    for each in dataclasses.fields(kind):
        hint = hints[each.name]
        if dataclasses.is_dataclass(hint):
            group = settings_model(hint) if isinstance(hint, type) else SettingsModel
            # strict, it would take no table for a group: what is in it is strict by itself
            fields[each.name] = (group, Field(default_factory=group, strict=False))
        elif _can_be_written(hint):
            needed = each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
            fields[each.name] = (hint, ... if needed else None)
    model: type[SettingsModel] = create_model(kind.__name__, __base__=SettingsModel, **fields)
    return model


def _can_be_written(hint: Any) -> bool:
    try:
        TypeAdapter(hint)
    except PydanticSchemaGenerationError:
        return False
    return True


class Checked:
    """Base of the dataclasses that hold settings of optimisers: one with a value that does not fit cannot be made."""

    __slots__ = ()

    def __post_init__(self) -> None:
        """Check every setting.

        Raises
        ------
        InputError
            A value is not of its type or not in its range; it names the class, the setting and what is allowed.
        """
        kind: type = type(self)
        try:
            validated(settings_model(kind), _written(self))
        except InputError as error:
            raise InputError(f"{kind.__name__}: {error.problem}", fix=error.fix) from error


def _written(settings: Checked) -> dict[str, Any]:
    """Settings as a person would write them, groups as tables; what stands in the place of a group must be one."""
    kind: type = type(settings)
    values: dict[str, Any] = {}
    for name, field in settings_model(kind).model_fields.items():
        value, group = getattr(settings, name), field.annotation
        if isinstance(value, Checked):
            value = _written(value)
        elif isinstance(group, type) and issubclass(group, SettingsModel):
            raise InputError(f"the setting {name!r} is {value!r}", fix=f"it must be a {group.__name__}")
        values[name] = value
    return values
