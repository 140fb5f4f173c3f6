"""Options that mean the same in every verb."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter, validators

RUNNING = Group("How it runs", sort_key=90)
"""Options that do not change what is computed, but for the seed: where, how fast, and how it is told."""

ParticleFile = Annotated[Path, Parameter(help="RELION STAR file or cryoSPARC .cs file.")]
Diameter = Annotated[float | None, Parameter(help="Particle diameter in A. Default: estimated.")]
DataDir = Annotated[Path | None, Parameter(help="Folder that image paths are relative to. Default: found out.")]
InvertContrast = Annotated[
    bool | None,
    Parameter(negative="--no-invert", help="Images have dark protein. Default: found out from the images."),
]
Ctf = Annotated[
    bool | None,
    Parameter(
        name="--ctf",
        negative="--no-ctf",
        help="Whether images have a CTF; --no-ctf is for negative stain and the like. Default: they have one.",
    ),
]
Premultiplied = Annotated[
    bool | None,
    Parameter(
        negative="--not-premultiplied",
        help="Images were multiplied with their CTF, or were not, whatever the table says. Default: as the table says.",
    ),
]
Subset = Annotated[
    str | None,
    Parameter(help='Only particles of which a query holds: "rlnDefocusU < 30000 and rlnVoltage == 300". Default: all.'),
]
KeepSamePlaces = Annotated[
    bool | None,
    Parameter(
        negative="",
        help="Use particles within 20 A of another one, too; they share a half-set. Default: only in another pose.",
    ),
]
Limit = Annotated[
    int | None,
    Parameter(help="Particles at most, drawn at random. Default: all.", validator=validators.Number(gte=1)),
]
Output = Annotated[Path, Parameter(name=["--output", "-o"], help="Folder for the results; must not hold a job.")]
Seed = Annotated[
    int | None,
    Parameter(help="Seed of all random choices; the same seed gives the same result. Default: 0.", group=RUNNING),
]
ConfigFile = Annotated[
    Path | None,
    Parameter(
        name="--config",
        help="TOML file of settings, also those that are no options; what is typed wins over it. Default: none.",
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
        help="CPU threads, no more than cores. Default: all cores.", validator=validators.Number(gte=1), group=RUNNING
    ),
]
Memory = Annotated[
    str | None,
    Parameter(
        help="Memory the command may take: GB, or with a unit (8GB, 800MB). Default: 70 % of what is free.",
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
    tuple[str, ...], Parameter(negative="", help="A setting of the optimiser, key=value; may be repeated.")
]
Trust = Annotated[
    bool,
    Parameter(
        negative="",
        help="Run code of your own (module:Class) that a file of settings or a job names. Default: refused.",
        group=RUNNING,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticleOptions:
    """Options of every verb that makes a job of particles."""

    subset: Subset = None
    limit: Limit = None
    keep_same_places: KeepSamePlaces = None
    data_dir: DataDir = None
    invert_contrast: InvertContrast = None
    ctf: Ctf = None
    premultiplied: Premultiplied = None
    seed: Seed = None
    config: ConfigFile = None
    device: Device = None
    threads: Threads = None
    memory: Memory = None
    scratch: Scratch = None

    def settings(self) -> dict[str, Any]:
        """Those that are settings of the recipe: all but the file of settings."""
        return {name: value for name, value in asdict(self).items() if name != "config"}


Shared = Annotated[ParticleOptions, Parameter(name="*")]
NOTHING_SHARED = ParticleOptions()
"""What stands for options that were not given."""
