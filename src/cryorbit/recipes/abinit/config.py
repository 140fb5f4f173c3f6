"""Settings of ab initio reconstruction: what the command line, a TOML file and the Python API share."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import Field

from cryorbit.core.bounds import COARSEST_A, MOST
from cryorbit.recipes.method_settings import SearchingSettings
from cryorbit.recipes.settings import ParticleSettings, Settings


class SearchSettings(SearchingSettings):
    """The stochastic search from a random start: full steps, averaged over ten mini-batches."""

    tuned: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {"momentum": {"momentum": 0.9, "schedule": "constant", "decay": 0.0}}
    )

    iterations: int = Field(60, ge=1, le=MOST, description="Mini-batches, if poses are told by then.")
    ambiguous: float = Field(
        2.0, ge=1, le=MOST, description="Effective poses of an image above which the search goes on."
    )
    longest: float = Field(
        2.5, ge=1, le=MOST, description="Most mini-batches of a search that goes on, over `iterations`."
    )
    batch_first: int = Field(90, ge=1, le=MOST, description="Images in the first mini-batch.")
    batch_last: int = Field(150, ge=1, le=MOST, description="Images in the last mini-batch; the size grows linearly.")
    initial_resolution: float | None = Field(
        None, gt=0, le=COARSEST_A, description="A. None: 35, within D/8 to D/3.5 of a particle of diameter D."
    )
    annealing: float = Field(1.2, ge=1, le=MOST, description="The last radius over the first.")
    angular_spacing: float = Field(15.0, gt=0, le=180, description="Degrees between rotations of the search grid.")
    metric: Literal["diagonal", "largest"] = Field(
        "diagonal", description="The gradient is divided by W, or by its largest value."
    )
    noise_inflation: float = Field(2.0, ge=1, le=MOST, description="Noise variance at the start over its estimate.")
    noise_inflation_images: float = Field(1000.0, gt=0, le=MOST, description="Images after which half of that is gone.")
    class_mixing: float = Field(0.1, ge=0, le=1, description="Class similarity early on, with several classes.")
    positive_fraction: float = Field(0.5, ge=0, le=1, description="Part of the search with density kept positive.")


class GrowSettings(Settings):
    """Resolution growth on a large batch, poses refined where their posterior is."""

    iterations: int = Field(10, ge=1, le=MOST, description="Passes at most.")
    least_gain: float = Field(
        0.01, ge=0, le=MOST, description="Relative gain in log-likelihood below which passes end."
    )
    images: int = Field(3000, ge=100, le=MOST, description="Images of a pass; all of them when there are no more.")
    cells: int = Field(16, ge=1, le=MOST, description="Coarse orientations an image may keep.")
    candidates: int = Field(
        12, ge=1, le=MOST, description="Finer orientations of an image that go on from level to level."
    )
    check_images: int = Field(
        200, ge=1, le=MOST, description="Images whose orientations are searched afresh before a pass."
    )
    moved: float = Field(
        0.04, ge=0, le=1, description="Part of them found elsewhere from which on all images are searched afresh."
    )
    threshold: float = Field(0.143, gt=0, lt=1, description="Half-map correlation up to which poses are scored.")
    margin: float = Field(3.0, ge=0, le=MOST, description="Shells beyond it.")
    relaxation: float = Field(
        0.75, ge=0, lt=1, description="Part of its change by which a map goes beyond each pass once the radius stands."
    )
    noise_prior: float = Field(50.0, ge=0, le=MOST, description="Weight of the old noise spectrum, in images.")


class ClassSettings(Settings):
    """How one consensus becomes several classes."""

    iterations: int = Field(8, ge=1, le=MOST, description="Passes with all classes before the last one.")
    principal_iterations: int = Field(15, ge=1, le=MOST, description="Power iterations for the principal components.")
    split_radius: float = Field(0.6, gt=0, le=1, description="Radius of the split over that of the consensus.")
    splits: int = Field(2, ge=1, le=MOST, description="Ways to split that are compared by held-out likelihood.")
    smallest: float = Field(0.02, ge=0, lt=1, description="A class below this part of the particles is started anew.")


class AbinitSettings(Settings):
    """What is particular to ab initio reconstruction, wherever its particles come from."""

    max_resolution: float | None = Field(
        None,
        gt=0,
        le=COARSEST_A,
        description="Finest resolution poses are scored at, A. None: 12, or diameter / 10 if that is finer.",
    )
    shift_range: float = Field(0.1, gt=0, le=0.5, description="Largest shift over the box.")
    held_out: float = Field(0.05, ge=0, le=0.5, description="Part of the particles kept for comparing maps.")
    search: SearchSettings = SearchSettings()
    grow: GrowSettings = GrowSettings()
    classify: ClassSettings = ClassSettings()


class AbinitConfig(AbinitSettings, ParticleSettings):
    """Everything that determines an ab initio reconstruction; its symmetry is imposed after the search."""

    classes: int = Field(1, ge=1, le=20, description="Maps that are made of one set.")
    seeds: int = Field(1, ge=1, le=50, description="Independent random starts.")
