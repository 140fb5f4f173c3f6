"""Settings of ab initio reconstruction: what the command line, a TOML file and the Python API share."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import Field

from cryorbit.core.bounds import COARSEST_A, MOST
from cryorbit.recipes.bound_settings import BranchSettings
from cryorbit.recipes.method_settings import SearchingSettings
from cryorbit.recipes.settings import ParticleSettings, Settings


class SearchSettings(SearchingSettings):
    """The stochastic search from a random start, in full steps averaged over ten mini-batches."""

    tuned: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {"momentum": {"momentum": 0.9, "schedule": "constant", "decay": 0.0}}
    )

    iterations: int = Field(
        60,
        ge=1,
        le=MOST,
        description="Mini-batches of the search; it continues beyond them while poses are still ambiguous.",
    )
    ambiguous: float = Field(
        2.0,
        ge=1,
        le=MOST,
        description="Effective number of poses per image (ESS) above which poses count as ambiguous and the search "
        "continues.",
    )
    longest: float = Field(
        2.5, ge=1, le=MOST, description="Upper limit of a search that continues, as a multiple of `iterations`."
    )
    batch_first: int = Field(90, ge=1, le=MOST, description="Images in the first mini-batch.")
    batch_last: int = Field(150, ge=1, le=MOST, description="Images in the last mini-batch; the size grows linearly.")
    initial_resolution: float | None = Field(
        None,
        gt=0,
        le=COARSEST_A,
        description="Resolution at which the search starts, Å. Default: 35 Å, but between D/8 and D/3.5 for a "
        "particle of diameter D.",
    )
    annealing: float = Field(
        1.2,
        ge=1,
        le=MOST,
        description="Largest frequency at the end of the search, as a multiple of that at its start.",
    )
    angular_spacing: float = Field(15.0, gt=0, le=180, description="Angular spacing of the search grid, degrees.")
    metric: Literal["diagonal", "largest"] = Field(
        "diagonal",
        description="Preconditioner of the gradient: the weights W of each frequency, or their largest value.",
    )
    noise_inflation: float = Field(
        2.0, ge=1, le=MOST, description="Noise variance at the start of the search, as a multiple of its estimate."
    )
    noise_inflation_images: float = Field(
        1000.0, gt=0, le=MOST, description="Number of images after which half of the noise inflation has decayed."
    )
    class_mixing: float = Field(
        0.1,
        ge=0,
        le=1,
        description="How far the classes are mixed with each other early in a search with several classes, 0 to 1.",
    )
    positive_fraction: float = Field(
        0.5, ge=0, le=1, description="Fraction of the search during which the density is kept positive."
    )


class GrowSettings(Settings):
    """Growth of the resolution on a large batch of images, with poses refined where their posterior lies."""

    iterations: int = Field(10, ge=1, le=MOST, description="Largest number of passes over the images.")
    least_gain: float = Field(
        0.01, ge=0, le=MOST, description="Relative gain in log-likelihood below which the passes end."
    )
    images: int = Field(3000, ge=100, le=MOST, description="Images per pass; all images if there are fewer.")
    cells: int = Field(16, ge=1, le=MOST, description="Largest number of coarse orientations kept for an image.")
    candidates: int = Field(
        12,
        ge=1,
        le=MOST,
        description="Largest number of finer orientations kept for an image at each level of the search.",
    )
    check_images: int = Field(
        200,
        ge=1,
        le=MOST,
        description="Images whose orientations are searched from scratch before each pass, as a check.",
    )
    moved: float = Field(
        0.04,
        ge=0,
        le=1,
        description="Fraction of the checked images with another orientation above which all images are searched "
        "from scratch.",
    )
    threshold: float = Field(
        0.143, gt=0, lt=1, description="Half-map FSC down to which frequencies are used to score poses."
    )
    margin: float = Field(
        3.0, ge=0, le=MOST, description="Shells beyond that frequency that are still used to score poses."
    )
    relaxation: float = Field(
        0.75,
        ge=0,
        lt=1,
        description="Over-relaxation: fraction of its last change by which a map is moved further, once the "
        "resolution no longer changes.",
    )
    noise_prior: float = Field(
        50.0,
        ge=0,
        le=MOST,
        description="Weight of the previous noise spectrum when it is updated, as a number of images.",
    )


class ClassSettings(Settings):
    """How the consensus map is split into classes."""

    iterations: int = Field(8, ge=1, le=MOST, description="Passes with all classes before the last one.")
    principal_iterations: int = Field(
        15,
        ge=1,
        le=MOST,
        description="Power iterations for the principal components of the variation between particles.",
    )
    split_radius: float = Field(
        0.6,
        gt=0,
        le=1,
        description="Largest frequency used to split the consensus, as a fraction of that of the consensus.",
    )
    splits: int = Field(
        2, ge=1, le=MOST, description="Number of ways to split that are compared by their held-out likelihood."
    )
    smallest: float = Field(
        0.02, ge=0, lt=1, description="Fraction of the particles below which a class is started again."
    )


class FinishSettings(Settings):
    """The last pass, which determines the poses of all particles."""

    search: Literal["grid", "branch-and-bound"] = Field(
        "grid",
        description="How the last pass searches all poses: on a grid whose likely poses are refined, or by branch and "
        "bound, which is slower.",
    )
    bound: BranchSettings = BranchSettings()


class AbinitSettings(Settings):
    """Settings of ab initio reconstruction alone, without those of its particles."""

    max_resolution: float | None = Field(
        None,
        gt=0,
        le=COARSEST_A,
        description="Finest resolution at which poses are scored, Å. Default: 12 Å, or a tenth of the diameter if "
        "that is finer.",
    )
    shift_range: float = Field(
        0.1, gt=0, le=0.5, description="Largest shift that is searched, as a fraction of the box."
    )
    held_out: float = Field(
        0.05, ge=0, le=0.5, description="Fraction of the particles held out, on which maps are compared."
    )
    search: SearchSettings = SearchSettings()
    grow: GrowSettings = GrowSettings()
    classify: ClassSettings = ClassSettings()
    finish: FinishSettings = FinishSettings()


class AbinitConfig(AbinitSettings, ParticleSettings):
    """Settings of an ab initio reconstruction; its symmetry is imposed after the search."""

    classes: int = Field(1, ge=1, le=20, description="Number of maps.")
    seeds: int = Field(1, ge=1, le=50, description="Number of independent random starts, which are compared.")
