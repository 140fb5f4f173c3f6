"""Ranges of optimisers' settings, which `optim.settings` checks."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from cryorbit.core.bounds import MOST

Positive: TypeAlias = Annotated[float, Field(gt=0, le=MOST)]
NotNegative: TypeAlias = Annotated[float, Field(ge=0, le=MOST)]
Factor: TypeAlias = Annotated[float, Field(ge=1, le=MOST)]
"""By which something grows."""
Share: TypeAlias = Annotated[float, Field(gt=0, le=1)]
"""Part of a whole, or all of it."""
Kept: TypeAlias = Annotated[float, Field(ge=0, lt=1)]
"""Part of what was that stays, so that something new always comes in."""
Inner: TypeAlias = Annotated[float, Field(gt=0, lt=1)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=MOST)]
