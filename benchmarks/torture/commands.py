"""Command lines with impossible paths, queries and numbers, and outputs that name the user's files."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

from cryorbit.cli.main import main

QUERIES = [
    'rlnDefocusU.__init__.__globals__["sys"].modules["os"].system("touch particles.star") == rlnDefocusU',
    "rlnDefocusU.to_csv('particles.star')",
    "rlnDefocusU < 9**9**9**9",
    "rlnDefocusU > 10**400",
    " and ".join(["rlnDefocusU > 1"] * 3000),
    "-" * 19_000 + "1 < rlnDefocusU",
    "@pd.io.common.os.remove('particles.star')",
    "`rlnDefocusU`.values > 1",
    "rlnMicrographName == 'x' * 10**9",
    "rlnDefocusU > 1 and",
    "",
]
PATHS = [
    "/dev/zero",
    "/dev/null",
    "pipe",
    "no/such/file",
    "x" * 300,
    "y/" * 2000,
    "two\nlines",
    os.fsdecode(b"lat\xe9n"),
    ".",
]
OUTPUTS = [
    ".",
    "set",
    "particles.star",
    "map.mrc",
    "stopped",
    "x" * 300,
    "two\nlines",
    os.fsdecode(b"lat\xe9n/job"),
    "/dev/null",
]
FILES = [
    "particles.star",
    "particles.cs",
    "particles.mrcs",
    "map.mrc",
    "settings.toml",
    "observations.npz",
    "set",
    "stopped",
]
NUMBERS = ["0", "-1", "nan", "inf", "1e400", "1e300", "9" * 30, "x", ""]
WORKS = ["run", "abinit", "reconstruct", "optimise", "moments"]
WRITES = [
    ["convert", "particles.star"],
    ["compare", "map.mrc", "map.mrc", "-o"],
    ["compare", "map.mrc", "map.mrc", "--json"],
    ["evaluate", "set", "--truth-map", "map.mrc", "--json"],
    ["inspect", "particles.star", "-o"],
    ["simulate", "map.mrc", "-n", "60", "-o"],
    ["mra", "simulate", "-n", "60", "-o"],
    ["mra", "solve", "observations.npz", "-o"],
    ["refine", "particles.star", "--map", "map.mrc", "-o"],
    ["postprocess", "set", "-o"],
    ["reproduce", "punjani2014", "-o"],
    ["demo", "-o"],
]


def command_line(folder: Path, draw: random.Random) -> list[str]:
    """A command line that is wrong in one way."""
    os.mkfifo(folder / "pipe")
    kind = draw.choice(("query", "path", "output", "output", "number", "settings"))
    verb = draw.choice(WORKS)
    if kind == "query":
        return [verb, "particles.star", "-o", "new", "--subset", draw.choice(QUERIES)]
    if kind == "path":
        return [*draw.choice([["inspect"], [verb, "-o", "new"], ["resume"]]), draw.choice(PATHS)]
    if kind == "output":
        # of these, names of the user's own files are the more frequent
        return [*draw.choice([*WRITES, [verb, "particles.star", "-o"]]), draw.choice(OUTPUTS + FILES)]
    if kind == "settings":
        return [verb, "particles.star", "-o", "new", "--config", draw.choice(PATHS + FILES)]
    option = draw.choice(["--limit", "--seed", "--threads", "--memory", "--diameter", "--device", "--symmetry"])
    return [verb, "particles.star", "-o", "new", option, draw.choice(NUMBERS)]


def run_without_work(arguments: Sequence[str]) -> None:
    """Run a command up to the work of its job: the particles are chosen, nothing is computed from them."""
    from cryorbit.api import jobs
    from cryorbit.recipes.dataset import read_chosen
    from cryorbit.recipes.settings import ParticleSettings

    def choose(planned: jobs.PlannedJob, *_: object) -> None:
        if isinstance(planned.config, ParticleSettings):
            read_chosen(planned.config)

    with mock.patch("cryorbit.cli.job_work.work", choose), mock.patch("cryorbit.cli.job_work.print_summary"):
        main(arguments)
