"""From random starts to the limit of the data by one method, beside ``abinit`` and then ``refine``, on the same images.

    python benchmarks/one_method.py --particles set/particles.star --truth-map set/truth_1.mrc \
        --truth-poses set/truth.star --seeds 0 1 2 --folder jobs --output one_method.json

CPU seconds of ``abinit`` and of the refinement that follows it are added up. Jobs that are in the folder already are
measured again, not made again: their CPU seconds are kept beside them.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from jobs import Record, nearness
from measure import CRYORBIT, run_measured
from tables import save, show


def main(
    *,
    particles: Path,
    truth_map: Path,
    truth_poses: Path,
    seeds: Annotated[list[int], Parameter(consume_multiple=True)],
    symmetry: str = "C1",
    threads: int = 1,
    folder: Path | None = None,
    output: Path | None = None,
) -> None:
    """Make the map of each seed in three ways; a row each.

    Parameters
    ----------
    particles, symmetry
        What is refined, under which point group.
    truth_map, truth_poses
        The map that the images show, and a STAR file of their poses.
    seeds
        Of the random starts.
    threads
        Of the processor.
    folder
        Where the jobs are kept; a temporary one if not given.
    output
        Where the numbers are written.
    """
    with tempfile.TemporaryDirectory() as temporary:
        scratch = (folder or Path(temporary)).absolute()
        common = ("--symmetry", symmetry, "--threads", str(threads), "--device", "cpu")
        rows: list[Record] = []
        for seed in seeds:
            shared = (particles.absolute(), *common, "--seed", str(seed))
            first = scratch / f"abinit_{seed}"
            before = cpu_seconds(("abinit", *shared), first)
            ways = {
                "one method": (0.0, ("refine", *shared)),
                **{
                    f"abinit, then {method}": (
                        before,
                        ("refine", *shared, "--map", first / "class_1.mrc", "--method", method),
                    )
                    for method in ("psgd", "em")
                },
            }
            for name, (spent, words) in ways.items():
                job = scratch / f"{name.replace(', ', '_').replace(' ', '_')}_{seed}"
                spent += cpu_seconds(words, job)
                near = nearness(job, truth_map, truth_poses, symmetry)
                rows.append({"seed": seed, "way": name, "CPU s": spent, **near, "verdict": verdict(job)})
        show("One method beside two", rows)
        save(output, "one_method", {"threads": threads, "rows": rows})


def cpu_seconds(words: tuple[str | Path, ...], job: Path) -> float:
    """What a job takes, or took."""
    kept = job.with_suffix(".cost.json")
    if not kept.exists():
        cost = run_measured([*CRYORBIT, *words, "-o", job], job.with_suffix(".log"))
        kept.write_text(json.dumps(asdict(cost)))
    return float(json.loads(kept.read_text())["cpu_s"])


def verdict(job: Path) -> str:
    """Level of the verdict of a job."""
    return str(json.loads((job / "job.json").read_text())["result"]["verdict"]["level"])


if __name__ == "__main__":
    cyclopts.run(main)
