"""Settings of the data whose moments chapters 2 and 3 of Paul (2024) match."""

from __future__ import annotations

from pydantic import Field

from cryorbit.core.bounds import MOST
from cryorbit.recipes.settings import Settings
from cryorbit.studies.paul2024.moments.study import Way

BOTH_WAYS: tuple[Way, ...] = ("images", "network, own nodes")


class DataSettings(Settings):
    """How the data of a fit are made, and over how many view directions sums go."""

    truth_steps: int = Field(
        100,
        ge=1,
        le=MOST,
        description="Steps by which a network is fitted to a map, for data as the thesis makes them.",
    )
    ways: tuple[Way, ...] = Field(
        ("images",),
        min_length=1,
        description="How data are made: from images of the map, or, as in the thesis, by a network fitted to the map.",
    )
    cheap: bool = Field(True, description="Whether to sum over fewer view directions than the thesis does.")
