"""Options that mean the same in every verb."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter, validators

RUNNING = Group("How it runs", sort_key=90)
"""Options that do not change what is computed, except the seed: where a job runs, how fast, and what it prints."""

ParticleFile = Annotated[Path, Parameter(help="RELION STAR file or cryoSPARC .cs file.")]
Diameter = Annotated[float | None, Parameter(help="Particle diameter, Å. Default: estimated from the images.")]
DataDir = Annotated[Path | None, Parameter(help="Folder that image paths are relative to. Default: detected.")]
InvertContrast = Annotated[
    bool | None,
    Parameter(negative="--no-invert", help="Whether the images show dark protein. Default: detected from the images."),
]
Ctf = Annotated[
    bool | None,
    Parameter(
        name="--ctf",
        negative="--no-ctf",
        help="Whether the images have a CTF; --no-ctf is for negative stain and the like. Default: --ctf.",
    ),
]
Premultiplied = Annotated[
    bool | None,
    Parameter(
        negative="--not-premultiplied",
        help="Whether the images were multiplied by their CTF. Default: as the particle file says.",
    ),
]
Subset = Annotated[
    str | None,
    Parameter(
        help='Use only the particles that match a query: "rlnDefocusU < 30000 and rlnVoltage == 300". Default: all.'
    ),
]
KeepSamePlaces = Annotated[
    bool | None,
    Parameter(
        negative="",
        help="Keep particles within 20 Å of another one; they share a half-set. Default: only those in another pose.",
    ),
]
Limit = Annotated[
    int | None,
    Parameter(help="Largest number of particles, drawn at random. Default: all.", validator=validators.Number(gte=1)),
]
Output = Annotated[Path, Parameter(name=["--output", "-o"], help="Folder for the results; new or empty.")]
Seed = Annotated[
    int | None,
    Parameter(help="Seed of all random choices; the same seed gives the same result. Default: 0.", group=RUNNING),
]
ConfigFile = Annotated[
    Path | None,
    Parameter(
        name="--config",
        help="TOML file of settings (cryorbit settings VERB lists them); options override it. Default: none.",
        group=RUNNING,
    ),
]
Preset = Annotated[
    str | None,
    Parameter(
        help="Settings that come with cryorbit under a name, such as cryosparc2017 for abinit; the settings file and "
        "options override them. Default: none.",
        group=RUNNING,
    ),
]
Device = Annotated[
    str | None,
    Parameter(
        help="cpu, cuda, cuda:1, ... (NVIDIA, or AMD with ROCm), or auto: a GPU if there is one. Default: auto.",
        group=RUNNING,
    ),
]
Threads = Annotated[
    int | None,
    Parameter(
        help="CPU threads, at most one per core. Default: all cores.", validator=validators.Number(gte=1), group=RUNNING
    ),
]
Memory = Annotated[
    str | None,
    Parameter(
        help="Memory the command may use, in GB or with a unit (8GB, 800MB). Default: 70 % of what is free.",
        group=RUNNING,
    ),
]
Scratch = Annotated[
    Path | None,
    Parameter(
        help="Folder on a fast local disk for temporary files: images that many passes need, and sums. "
        "Default: images are kept in memory as far as they fit.",
        group=RUNNING,
    ),
]

MethodSettings = Annotated[
    tuple[str, ...], Parameter(negative="", help="Setting of the optimiser, key=value; can be repeated.")
]
Trust = Annotated[
    bool,
    Parameter(
        negative="",
        help="Allow code of your own (module:Class) named in a settings file or a job to run. Default: refused.",
        group=RUNNING,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticleOptions:
    """Options of every verb that runs a job on particles."""

    subset: Subset = None
    limit: Limit = None
    keep_same_places: KeepSamePlaces = None
    data_dir: DataDir = None
    invert_contrast: InvertContrast = None
    ctf: Ctf = None
    premultiplied: Premultiplied = None
    seed: Seed = None
    preset: Preset = None
    config: ConfigFile = None
    device: Device = None
    threads: Threads = None
    memory: Memory = None
    scratch: Scratch = None

    def settings(self) -> dict[str, Any]:
        """Those that are settings of the recipe: all but the settings file."""
        return {name: value for name, value in asdict(self).items() if name != "config"}


Shared = Annotated[ParticleOptions, Parameter(name="*")]
NOTHING_SHARED = ParticleOptions()
"""What stands for options that were not given."""
