"""Settings of an optimisation of the likelihood by a method of choice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from cryorbit.core.bounds import COARSEST_A, MOST
from cryorbit.core.errors import InputError
from cryorbit.optim.em import EM
from cryorbit.optim.method import Method
from cryorbit.recipes.method_settings import MethodChoice
from cryorbit.recipes.settings import ParticleSettings, Settings

PROJECTION_MATCHING = "projection-matching"
"""Expectation maximisation that counts only the best pose of each image."""


class QuadratureSettings(Settings):
    """The poses over which the likelihood is summed."""

    undersampling: float = Field(
        1.0, gt=0, le=MOST, description="Factor on the angular and shift steps; above 1 is faster and less exact."
    )
    shift_sigma: float = Field(
        0.015, ge=0, lt=0.5, description="Standard deviation of the shifts, as a fraction of the box; 0 for none."
    )
    shift_range: float | None = Field(
        None, gt=0, le=0.5, description="Largest shift, as a fraction of the box. Default: 2.5 standard deviations."
    )
    draws: int | None = Field(
        None,
        ge=10,
        le=MOST,
        description="Number of poses drawn per image. Default: the sum over all poses is evaluated.",
    )


class PriorSettings(Settings):
    """Strengths of the prior on the density, for images with noise of variance 1."""

    positive: float = Field(
        1e-4, ge=0, le=MOST, description="Strength lambda of the prior exp(-lambda v) on positive voxels v."
    )
    negative: float = Field(
        1e-4, ge=0, le=MOST, description="Strength lambda of the prior exp(-lambda |v|^3) on negative voxels v."
    )


class OptimiseConfig(MethodChoice, ParticleSettings):
    """Settings of an optimisation."""

    method: str = Field(
        "sgd", description="Optimiser by name, module:Class for one of your own, or projection-matching."
    )
    settings: dict[str, Any] = Field(default_factory=dict, description="Settings of the optimiser. Default: its own.")
    resolution: float | None = Field(
        None,
        gt=0,
        le=COARSEST_A,
        description="Finest resolution of the likelihood, Å. Default: 30 Å, or that of 10 shells if it is coarser.",
    )
    epochs: float = Field(
        3.0,
        gt=0,
        le=MOST,
        description="Length of the optimisation: gradients of single images, as a multiple of the number of particles.",
    )
    points: int = Field(5, ge=1, le=MOST, description="Evaluations of the held-out likelihood per epoch.")
    held_out: int = Field(
        100, ge=1, le=MOST, description="Number of held-out particles, which only measure the likelihood."
    )
    start: Path | None = Field(None, description="Starting map (MRC). Default: random spheres.")
    quadrature: QuadratureSettings = QuadratureSettings()
    prior: PriorSettings = PriorSettings()

    @classmethod
    def make_method(cls, name: str, settings: Mapping[str, Any]) -> Method[Any]:
        """The optimiser ``name``, or the one that projection matching is with its own sum.

        Raises
        ------
        InputError
            There is no such method, it has no such setting, or a value does not fit.
        """
        if name != PROJECTION_MATCHING:
            return super().make_method(name, settings)
        if settings:
            raise InputError(f"{name} has no settings", fix="leave them out")
        return EM()
