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
    """What every recipe asks that leaves a job folder: where, from which seed, and on what it runs."""

    output: Path = Field(description="Job folder.")
    seed: int = Field(0, ge=0, le=LAST_SEED, description="Of all random numbers of the job.")
    device: str = Field("cpu", description="Where tensors are, as PyTorch names it.")
    threads: int | None = Field(
        None, ge=1, le=MOST_THREADS, description="Of the CPU. None: one a core, and never more."
    )


class TransferSettings(Settings):
    """What is said of the CTF of images beside their table."""

    ctf: bool = Field(True, description="Whether images have a CTF. Without: 1 at all frequencies.")
    premultiplied: bool | None = Field(
        None, description="Whether the images were multiplied with their CTF. None: as the table says."
    )


class ParticleSettings(TransferSettings, JobSettings):
    """What every recipe asks that works on particles: where they are, how their images are taken, where it runs."""

    particles: Path = Field(description="RELION STAR file or cryoSPARC .cs file.")
    symmetry: str = Field("C1", description="Point group.")
    diameter: float | None = Field(None, gt=0, le=COARSEST_A, description="Particle diameter, A. None: estimated.")
    data_dir: Path | None = Field(None, description="Folder that image files are looked for in first.")
    subset: str | None = Field(None, description="Query on the columns; the particles of which it holds are used.")
    limit: int | None = Field(None, ge=1, le=MOST, description="Particles at most, drawn at random by the seed.")
    invert_contrast: bool | None = Field(None, description="None: found out from the images.")
    max_bad_fraction: float = Field(0.1, ge=0, le=1, description="Particles that may be set aside.")
    keep_same_places: bool = Field(
        False, description="Whether particles within 20 A of another one are used; they share a half-set."
    )
    save_minutes: float = Field(
        5.0, ge=0, le=MOST, description="Minutes after which what a pass over the particles has done is kept."
    )
    memory: Gigabytes | None = Field(
        None, description="GB, or as 800MB, that the process may take. None: 70 % of what is free."
    )
    scratch: Path | None = Field(
        None,
        description="Folder on a fast local disk for large temporary files. "
        "None: images are kept in memory as far as they fit, sums in the job folder.",
    )
