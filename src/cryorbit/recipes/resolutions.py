"""Resolutions among the settings: what the pixels cannot hold is said before any work, not quietly cut off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from cryorbit.core.errors import InputError

NAMES = frozenset({"resolution", "max_resolution", "initial_resolution", "join_resolution", "low_pass"})
"""Settings, of any recipe and any group within, that are a resolution in A at which images or maps are used."""
SHARED = "join_resolution"
"""The one that may be coarser than the box: half-sets then share nothing."""
ROUNDING = 1e-3
"""Relative difference that is none: pixel sizes are read from files that round them."""


def require_resolvable(settings: BaseModel, box: int, pixel_size: float, file: Path) -> None:
    """Raise ``InputError`` if a resolution that was chosen is finer than the pixels hold, or coarser than the box.

    Defaults are cut to what there is, as they are meant for any particle.

    Parameters
    ----------
    settings
        Of a recipe, groups within groups.
    box, pixel_size
        Of the images or maps, in pixels and A.
    file
        Where they come from.
    """
    nyquist, extent = 2 * pixel_size, box * pixel_size
    for name, value in _chosen(settings):
        if value < nyquist * (1 - ROUNDING):
            raise InputError(
                f"{name} is {value:g} Å, but pixels of {pixel_size:.4g} Å show nothing finer than {nyquist:.4g} Å",
                file=file,
                fix=f"give {nyquist:.4g} Å or coarser, or particles that were extracted with smaller pixels",
            )
        if value > extent * (1 + ROUNDING) and not name.endswith(SHARED):
            raise InputError(
                f"{name} is {value:g} Å, but the box is only {extent:.4g} Å wide",
                file=file,
                fix=f"give {extent / 4:.0f} Å or finer",
            )


def _chosen(settings: BaseModel, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Names and values of resolutions that are not the default."""
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from _chosen(value, f"{prefix}{name}.")
        elif name in NAMES and value is not None and value != field.default:
            yield f"{prefix}{name}", value
