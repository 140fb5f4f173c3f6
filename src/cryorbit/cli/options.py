"""Options that mean the same in every verb."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

Output = Annotated[Path, Parameter(name=["--output", "-o"], help="Folder for the results; must not hold a job.")]
Seed = Annotated[int | None, Parameter(help="Seed of all random choices; the same seed gives the same result.")]
ConfigFile = Annotated[
    Path | None, Parameter(name="--config", help="TOML file of settings; what is typed wins over it.")
]
Device = Annotated[str | None, Parameter(help="cpu, cuda, cuda:1, ..., or auto: a GPU if there is one. Default: auto.")]
Threads = Annotated[
    int | None,
    Parameter(help="CPU threads. Default: all cores.", validator=validators.Number(gte=1)),
]
Memory = Annotated[
    float | None,
    Parameter(
        help="GB of memory the command may take. Default: 70 % of what is free.", validator=validators.Number(gt=0)
    ),
]
