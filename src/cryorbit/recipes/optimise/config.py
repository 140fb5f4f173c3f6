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
    """Which poses are summed over."""

    undersampling: float = Field(
        1.0, gt=0, le=MOST, description="Factor on angular and shift steps; above 1 is cheaper."
    )
    shift_sigma: float = Field(0.015, ge=0, lt=0.5, description="Standard deviation of shifts over the box; 0: none.")
    shift_range: float | None = Field(None, gt=0, le=0.5, description="Largest shift over the box. None: 2.5 sigma.")
    draws: int | None = Field(
        None, ge=10, le=MOST, description="Poses drawn an image. None: all of the sum is evaluated."
    )


class PriorSettings(Settings):
    """Strengths of the prior of density, images having noise of variance 1."""

    positive: float = Field(1e-4, ge=0, le=MOST, description="Of exp(-lambda v) for positive voxels.")
    negative: float = Field(1e-4, ge=0, le=MOST, description="Of exp(-lambda |v|^3) for negative voxels.")


class OptimiseConfig(MethodChoice, ParticleSettings):
    """Everything that determines an optimisation."""

    method: str = Field("sgd", description="Optimiser by name, module:Class, or projection-matching.")
    settings: dict[str, Any] = Field(default_factory=dict, description="Settings of the optimiser.")
    resolution: float | None = Field(
        None,
        gt=0,
        le=COARSEST_A,
        description="Finest detail that is scored, A. None: 30, or what a radius of 10 reaches.",
    )
    epochs: float = Field(3.0, gt=0, le=MOST, description="Gradients to evaluate, in units of the number of particles.")
    points: int = Field(5, ge=1, le=MOST, description="Evaluations of the held-out particles an epoch.")
    held_out: int = Field(100, ge=1, le=MOST, description="Particles that only judge.")
    start: Path | None = Field(None, description="Start map, MRC. None: random spheres.")
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
