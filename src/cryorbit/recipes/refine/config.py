"""Settings of the refinement."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import Field

from cryorbit.core.bounds import COARSEST_A, MOST
from cryorbit.recipes.bound_settings import BranchSettings
from cryorbit.recipes.method_settings import SearchingSettings, StageSettings
from cryorbit.recipes.settings import ParticleSettings, Settings


class PassSettings(Settings):
    """Passes over all particles, in which each half-set is aligned to its own map."""

    iterations: int = Field(25, ge=1, le=MOST, description="Largest number of passes over the images.")
    patience: int = Field(
        2, ge=1, le=MOST, description="Number of passes in a row without a gain after which the refinement ends."
    )
    least_gain: float = Field(
        0.003, ge=0, le=MOST, description="Relative gain in log-likelihood below which a pass counts as without a gain."
    )
    class_changes: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Fraction of the particles that may still change class in the last pass. Default: only "
        "`patience` ends the passes.",
    )
    join_resolution: float = Field(
        20.0,
        gt=0,
        le=COARSEST_A,
        description="Resolution down to which the half-maps are averaged to keep them aligned, Å.",
    )
    threshold: float = Field(
        0.143, gt=0, lt=1, description="Half-map FSC down to which frequencies are used to score poses."
    )
    margin: float = Field(
        3.0, ge=0, le=MOST, description="Shells beyond that frequency that are still used to score poses."
    )
    relative_margin: float = Field(
        0.1, ge=0, le=MOST, description="The same margin as a fraction of that frequency; the larger of the two counts."
    )
    growth: float = Field(
        1.4,
        gt=1,
        le=MOST,
        description="Largest factor by which the highest frequency used for scoring grows from pass to pass.",
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
    mask_from: float = Field(
        12.0,
        gt=0,
        le=COARSEST_A,
        description="Resolution from which a map is masked along its own outline instead of by a sphere, Å.",
    )


class PoseSearchSettings(Settings):
    """How orientations and shifts are searched."""

    search: Literal["grid", "branch-and-bound"] = Field(
        "grid",
        description="How all poses are searched: on a grid whose likely poses are refined, or by branch and bound, "
        "which is slower.",
    )
    bound: BranchSettings = BranchSettings()
    assignment: Literal["posterior", "best"] = Field(
        "posterior",
        description="Whether an image enters the map at all poses weighted by their posterior, or at its best pose.",
    )
    angular_spacing: float = Field(
        15.0, gt=0, le=180, description="Angular spacing of the search over all orientations, degrees."
    )
    cells: int = Field(64, ge=1, le=MOST, description="Largest number of coarse orientations kept for an image.")
    candidates: int = Field(
        32,
        ge=1,
        le=MOST,
        description="Largest number of finer orientations kept for an image at each level of the search.",
    )
    shift_range: float = Field(
        0.1, gt=0, le=0.5, description="Largest shift that is searched, as a fraction of the box."
    )
    check_images: int = Field(
        200,
        ge=1,
        le=MOST,
        description="Images of each half-set whose poses are searched from scratch before each pass, as a check.",
    )
    moved: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Fraction of the posterior that a local search may miss; if it misses more, all orientations are "
        "searched.",
    )


class StochasticSettings(SearchingSettings):
    """Preconditioned stochastic gradient steps before the passes (method "psgd"), averaged over two."""

    tuned: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {"momentum": {"momentum": 0.5, "schedule": "constant", "decay": 0.0}}
    )

    iterations: int = Field(40, ge=1, le=MOST, description="Largest number of mini-batches.")
    batch: int | None = Field(
        None,
        ge=10,
        le=MOST,
        description="Images per mini-batch in each half-set. Default: a tenth of the half-set, but 150 to 1000.",
    )
    forgetting: float = Field(
        0.3, gt=0, le=1, description="Fraction of the preconditioner that each mini-batch replaces."
    )
    ambiguous: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Fraction of the posterior outside a local search below which a small set needs no more "
        "mini-batches.",
    )
    patience: int = Field(
        2, ge=1, le=MOST, description="Number of steps without a gain after which the mini-batches end."
    )


class LateSettings(StageSettings):
    """Mini-batches after the passes, by a variance-reduced optimiser with steps of a tenth."""

    tuned: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {name: {"step_size": 0.1} for name in ("svrg", "sem-vr", "sem-vr-statistics")}
    )

    method: str | None = Field(
        None, description="Optimiser by name, or module:Class for one of your own. Default: the stage is skipped."
    )
    epochs: int = Field(
        2,
        ge=1,
        le=MOST,
        description="Number of epochs; each is one pass over all particles and one epoch of the optimiser.",
    )
    batches: int = Field(4, ge=1, le=MOST, description="Mini-batches per epoch.")


class RefineSettings(Settings):
    """Settings of refinement alone, without those of its particles and maps."""

    method: Literal["em", "psgd"] = Field(
        "psgd",
        description="Algorithm: mini-batches first (psgd), which is faster for large sets, or only passes over all "
        "particles (em).",
    )
    initial_resolution: float = Field(30.0, gt=0, le=COARSEST_A, description="Low-pass filter of the starting maps, Å.")
    passes: PassSettings = PassSettings()
    poses: PoseSearchSettings = PoseSearchSettings()
    sgd: StochasticSettings = StochasticSettings()
    late: LateSettings = LateSettings()


class RefineConfig(RefineSettings, ParticleSettings):
    """Settings of a refinement."""

    maps: tuple[Path, ...] = Field(min_length=1, description="Starting map (MRC); with several, each is a class.")
    mask: Path | None = Field(None, description="Soft mask (MRC). Default: made from the map.")
    max_resolution: float | None = Field(
        None,
        gt=0,
        le=COARSEST_A,
        description="Finest resolution at which poses are scored, Å. Default: as the images allow.",
    )
    check_start: bool = Field(True, description="Whether to refuse a starting map that the images do not fit.")
