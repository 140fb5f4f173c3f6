"""What the settings of all recipes have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from cryorbit.core.bounds import COARSEST_A, LAST_SEED, MOST, MOST_THREADS
from cryorbit.core.memory import gigabytes
from cryorbit.io.destinations import require_usable_path

Gigabytes = Annotated[float, BeforeValidator(gigabytes), Field(gt=0, le=MOST)]
"""GB of 2^30 bytes, given as a number or as text with a unit."""


class Settings(BaseModel):
    """A frozen group of settings in which an unknown name, a number that is not finite or an unusable path is an error.

    Every number has a lowest and a highest value; `cryorbit.core.bounds` has those that none is to exceed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _usable(cls, value: Any) -> Any:
        """Paths that cannot be written to files, or never end, are told before any work."""
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Path):
                require_usable_path(each)
        return value


class JobSettings(Settings):
    """Settings of every job: its folder, its seed, and where it runs."""

    output: Path = Field(description="Job folder; new or empty.")
    seed: int = Field(
        0, ge=0, le=LAST_SEED, description="Seed of all random choices; the same seed gives the same result."
    )
    device: str = Field("cpu", description="Where the job computes, as --device names it.")
    threads: int | None = Field(
        None, ge=1, le=MOST_THREADS, description="CPU threads, at most one per core. Default: one per core."
    )


class TransferSettings(Settings):
    """Whether images have a CTF, and whether they were multiplied by it."""

    ctf: bool = Field(True, description="Whether the images have a CTF; false is for negative stain and the like.")
    premultiplied: bool | None = Field(
        None, description="Whether the images were multiplied by their CTF. Default: as the particle file says."
    )


class ParticleSettings(TransferSettings, JobSettings):
    """Settings of every job on particles: which particles it uses, how it reads their images, and where it runs."""

    particles: Path = Field(description="RELION STAR file or cryoSPARC .cs file.")
    symmetry: str = Field("C1", description="Point group: C1, C4, D2, T, O, I, ...")
    diameter: float | None = Field(
        None, gt=0, le=COARSEST_A, description="Particle diameter, Å. Default: estimated from the images."
    )
    data_dir: Path | None = Field(None, description="Folder that image paths are relative to. Default: detected.")
    subset: str | None = Field(
        None, description="Query on the columns; only particles that match it are used. Default: all particles."
    )
    limit: int | None = Field(
        None, ge=1, le=MOST, description="Largest number of particles, drawn at random. Default: all particles."
    )
    invert_contrast: bool | None = Field(
        None,
        description="Whether the images show dark protein and must be inverted. Default: detected from the images.",
    )
    max_bad_fraction: float = Field(
        0.1, ge=0, le=1, description="Largest fraction of unusable particles; with more, the job refuses to start."
    )
    keep_same_places: bool = Field(
        False, description="Whether to keep particles within 20 Å of another one; they share a half-set."
    )
    save_minutes: float = Field(
        5.0,
        ge=0,
        le=MOST,
        description="Time between two savings of the work done in a pass over the particles, minutes.",
    )
    memory: Gigabytes | None = Field(
        None,
        description="Memory that the job may use, in GB or with a unit (800MB). Default: 70 % of what is free.",
    )
    scratch: Path | None = Field(
        None,
        description="Folder on a fast local disk for large temporary files. "
        "Default: images are kept in memory as far as they fit, sums in the job folder.",
    )
