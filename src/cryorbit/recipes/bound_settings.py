"""Settings of branch and bound, the same wherever a recipe searches poses by it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cryorbit.core.bounds import MOST
from cryorbit.inference.pose_bound import BoundSettings
from cryorbit.recipes.settings import Settings

MOST_SUBDIVISIONS = 12
"""Of 60 degrees they leave less than a minute of arc."""


class BranchSettings(Settings):
    """How branch and bound subdivides poses and what its bound allows for."""

    grid: Literal["equal-volume", "axis-angle"] = Field(
        "equal-volume",
        description="First grid of rotations: cells of equal volume, or a Cartesian grid of rotation vectors, as "
        "published.",
    )
    angular_spacing: float | None = Field(
        None,
        ge=5,
        le=180,
        description="Angular spacing of the first grid of branch and bound, degrees; published: 24. Default: that of "
        "the grid search.",
    )
    shift_step: float | None = Field(
        None,
        gt=0,
        le=MOST,
        description="Step of the first shifts of branch and bound, pixels; published: 5. Default: a quarter of the "
        "finest wavelength that is scored first.",
    )
    first_radius: float | None = Field(
        None,
        ge=1,
        le=MOST,
        description="Highest frequency of the first scores of branch and bound, Fourier pixels; it doubles with every "
        "subdivision; published: 12. Default: chosen from the spectrum of the map.",
    )
    subdivisions: int | None = Field(
        None,
        ge=0,
        le=MOST_SUBDIVISIONS,
        description="Number of times that branch and bound halves its cells; published: 7. Default: down to the finest "
        "steps that the images can tell apart.",
    )
    orientation_cap: float = Field(
        1 / 4,
        gt=0,
        le=1,
        description="Largest fraction of the first orientations that branch and bound keeps for an image; published: "
        "0.125.",
    )
    shift_cap: float = Field(
        1 / 4,
        gt=0,
        le=1,
        description="Largest fraction of the first shifts that branch and bound keeps for an image; published: 0.25.",
    )
    fewest_shifts: int = Field(
        8,
        ge=1,
        le=MOST,
        description="Number of shifts that branch and bound may keep for an image, however small their grid; "
        "published: 1.",
    )
    incumbent: Literal["best-cell", "descent"] = Field(
        "descent",
        description="Pose whose score the bound of a cell must reach: the centre of the best cell, as published, or "
        "the best pose below it, which excludes more cells.",
    )
    confidence: float = Field(
        4.0, ge=0, le=MOST, description="Standard deviations of noise that the bound allows for; larger is safer."
    )
    deviation: Literal["exact", "published"] = Field(
        "exact",
        description="Standard deviation of the noise in the bound: exact, or as published, smaller by the square root "
        "of two.",
    )
    ctf: Literal["image", "group"] = Field(
        "image",
        description="CTF in the bound: that of each image, or, as published, the root mean square over the images "
        "that are searched together.",
    )
    cell_reach: float = Field(
        0.7,
        ge=0,
        le=1,
        description="How far from the centre of a cell the bound still holds, as a fraction of the way to its corner; "
        "larger loses fewer poses and excludes fewer cells; published: 0.",
    )

    @property
    def bound(self) -> BoundSettings:
        """What the bound allows for."""
        return BoundSettings(self.confidence, self.deviation, self.ctf, self.cell_reach)
