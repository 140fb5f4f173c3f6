"""What the settings of all studies have in common, and the three sizes in which each of them comes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from cryorbit.core.bounds import LAST_SEED, MOST_THREADS
from cryorbit.recipes.config import overlaid
from cryorbit.recipes.settings import Settings

Scale = Literal["quick", "medium", "full"]


class StudySettings(Settings):
    """Settings of every reproduction: its folder, its size, its first seed.

    A scale is a set of values for the other settings; what is set in a file or on the command line wins over it. Those
    of the scale ``quick`` are the defaults of the fields.
    """

    SIZES: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Settings of the scales ``medium`` and ``full``, where they differ from those of ``quick``; groups as mappings."""

    output: Path = Field(description="Job folder; new or empty.")
    scale: Scale = Field(
        "quick",
        description="Size that all other settings have unless they are set: quick takes minutes, medium up to about "
        "an hour, full is the largest.",
    )
    seed: int = Field(
        0, ge=0, le=LAST_SEED, description="First seed of all random choices; the same seed gives the same result."
    )
    threads: int | None = Field(
        None, ge=1, le=MOST_THREADS, description="CPU threads, at most one per core. Default: one per core."
    )

    @model_validator(mode="before")
    @classmethod
    def _sized(cls, given: Any) -> Any:
        """The settings of the scale, where none are given."""
        if not isinstance(given, Mapping):
            return given
        return overlaid(cls.sizes(given.get("scale")), given)

    @classmethod
    def sizes(cls, scale: object) -> Mapping[str, Any]:
        """Settings of a scale where they differ from the defaults; none of a scale that there is not."""
        return cls.SIZES.get(scale, {}) if isinstance(scale, str) else {}
