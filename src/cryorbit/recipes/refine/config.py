"""Settings of the refinement."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import Field

from cryorbit.core.bounds import COARSEST_A, MOST
from cryorbit.recipes.method_settings import SearchingSettings, StageSettings
from cryorbit.recipes.settings import ParticleSettings, Settings


class PassSettings(Settings):
    """Passes over all particles, each half-set under its own map."""

    iterations: int = Field(25, ge=1, le=MOST, description="Passes at most.")
    patience: int = Field(2, ge=1, le=MOST, description="Passes in a row without a gain after which they end.")
    least_gain: float = Field(0.003, ge=0, le=MOST, description="Least gain of a pass in log-likelihood, a part of it.")
    class_changes: float | None = Field(
        None, ge=0, le=1, description="Part of the particles that may change class in the last pass. None: patience."
    )
    join_resolution: float = Field(
        20.0, gt=0, le=COARSEST_A, description="The half-sets share what is coarser than this, A."
    )
    threshold: float = Field(0.143, gt=0, lt=1, description="Half-map correlation up to which poses are scored.")
    margin: float = Field(
        3.0, ge=0, le=MOST, description="Shells beyond those that half-maps agree on to which poses are scored."
    )
    relative_margin: float = Field(
        0.1, ge=0, le=MOST, description="The same as a part of the radius, where that is more."
    )
    growth: float = Field(
        1.4, gt=1, le=MOST, description="Most by which the radius of the scores grows from pass to pass."
    )
    relaxation: float = Field(
        0.75, ge=0, lt=1, description="Part of its change by which a map goes beyond each pass once the radius stands."
    )
    noise_prior: float = Field(50.0, ge=0, le=MOST, description="Weight of the old noise spectrum, in images.")
    mask_from: float = Field(
        12.0, gt=0, le=COARSEST_A, description="A map finer than this, A, is masked along its own outline."
    )


class PoseSearchSettings(Settings):
    """How orientations and shifts are searched."""

    search: Literal["grid", "branch-and-bound"] = Field(
        "grid", description="All poses: of a grid, the likely ones refined; or by branch and bound, which is slower."
    )
    assignment: Literal["posterior", "best"] = Field(
        "posterior", description="Whether an image enters the map by its posterior (marginalised), or at its best pose."
    )
    angular_spacing: float = Field(
        15.0, gt=0, le=180, description="Degrees between rotations where all poses are searched."
    )
    cells: int = Field(64, ge=1, le=MOST, description="Coarse orientations an image may keep.")
    candidates: int = Field(
        32, ge=1, le=MOST, description="Finer orientations of an image that go on from level to level."
    )
    shift_range: float = Field(0.1, gt=0, le=0.5, description="Largest shift over the box.")
    check_images: int = Field(
        200, ge=1, le=MOST, description="Images of a half-set with known poses that are searched afresh before a pass."
    )
    moved: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Part of an image's posterior that a local search may miss; else all orientations are searched.",
    )


class StochasticSettings(SearchingSettings):
    """Preconditioned stochastic gradient steps before the passes (method "psgd"): full steps, averaged over two."""

    tuned: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {"momentum": {"momentum": 0.5, "schedule": "constant", "decay": 0.0}}
    )

    iterations: int = Field(40, ge=1, le=MOST, description="Mini-batches at most.")
    batch: int | None = Field(
        None, ge=10, le=MOST, description="Images of a mini-batch, in each half-set. None: a tenth, from 150 to 1000."
    )
    forgetting: float = Field(0.3, gt=0, le=1, description="Part of the preconditioner that each batch renews.")
    ambiguous: float = Field(
        0.2, ge=0, le=1, description="Part of the posterior beyond a local search below which small sets need no more."
    )
    patience: int = Field(2, ge=1, le=MOST, description="Steps without a gain after which they end.")


class LateSettings(StageSettings):
    """Mini-batches after the passes have settled, by an optimiser that reduces their variance: steps of a tenth."""

    tuned: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {name: {"step_size": 0.1} for name in ("svrg", "sem-vr", "sem-vr-statistics")}
    )

    method: str | None = Field(None, description="Optimiser by name, or module:Class. None: the stage is left out.")
    epochs: int = Field(2, ge=1, le=MOST, description="Each is a pass over all particles, and one of the optimiser.")
    batches: int = Field(4, ge=1, le=MOST, description="Mini-batches an epoch.")


class RefineSettings(Settings):
    """What is particular to refinement, wherever its particles and maps come from."""

    method: Literal["em", "psgd"] = Field(
        "psgd", description="Mini-batches first, while they pay, or passes over all particles alone."
    )
    initial_resolution: float = Field(30.0, gt=0, le=COARSEST_A, description="Low-pass filter of the start maps, A.")
    passes: PassSettings = PassSettings()
    poses: PoseSearchSettings = PoseSearchSettings()
    sgd: StochasticSettings = StochasticSettings()
    late: LateSettings = LateSettings()


class RefineConfig(RefineSettings, ParticleSettings):
    """Everything that determines a refinement."""

    maps: tuple[Path, ...] = Field(min_length=1, description="Start maps, MRC; several are classes.")
    mask: Path | None = Field(None, description="Soft mask, MRC. None: made from the map.")
    max_resolution: float | None = Field(
        None, gt=0, le=COARSEST_A, description="Finest resolution poses are scored at, A."
    )
    check_start: bool = Field(True, description="Refuse start maps that the images do not show.")
