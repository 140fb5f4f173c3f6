"""Passes over the data and CPU seconds that the methods of ``cryorbit refine`` take to the same half-map resolution.

    python benchmarks/refine_methods.py --particles set/particles.star --start-map abinit/class_1.mrc \
        --truth-map set/truth_1.mrc --truth-poses set/truth.star --output benchmarks/results/refine_methods.json

A mini-batch step counts by its part of the particles. What half-maps of a mini-batch resolve is that of the mini-batch,
less than what the map resolves that was made of all steps so far; the final maps are judged against the truth.
"""

from __future__ import annotations

import json
import tempfile
from itertools import accumulate
from pathlib import Path

import cyclopts

from jobs import Record, nearness, told_cost
from measure import CRYORBIT, run_measured
from tables import save, show

METHODS = ("em", "psgd")
RESOLUTIONS = (15.0, 12.0, 10.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.5)


def main(
    *,
    particles: Path,
    start_map: Path,
    truth_map: Path,
    truth_poses: Path,
    threads: int = 1,
    folder: Path | None = None,
    output: Path | None = None,
) -> None:
    """Refine with every method and list when each resolution was first reached.

    Parameters
    ----------
    particles, start_map
        What is refined.
    truth_map, truth_poses
        The map that the images show, and a STAR file of their poses.
    threads
        Of the processor.
    folder
        Where the jobs are kept; a temporary one if not given.
    output
        Where the numbers are written.
    """
    with tempfile.TemporaryDirectory() as temporary:
        scratch = (folder or Path(temporary)).absolute()
        scratch.mkdir(parents=True, exist_ok=True)
        finals, courses = [], {}
        for method in METHODS:
            job = scratch / method
            words = ("refine", particles, "--map", start_map, "-o", job, "--method", method, "--threads", str(threads))
            cost = run_measured([*CRYORBIT, *words, "--device", "cpu"], scratch / f"{method}.log")
            courses[method] = read_course(job)
            finals.append({"method": method, **told_cost(cost), **nearness(job, truth_map, truth_poses)})
        reached = [row for resolution in RESOLUTIONS if (row := first_reached(resolution, courses)) is not None]
        show("Whole jobs", finals, [])
        show("First reached by half-maps (0.143)", reached, ["CPU s of the iterations; passes over all particles"])
        save(output, "refine_methods", {"threads": threads, "jobs": finals, "reached": reached, "courses": courses})


def read_course(job: Path) -> list[Record]:
    """Passes and CPU seconds so far, and what the half-maps resolve, after every iteration."""
    lines = [json.loads(line) for line in (job / "metrics.jsonl").read_text().splitlines()]
    everything = lines[-1]["batch"]
    passes = accumulate(line["batch"] / everything for line in lines)
    seconds = accumulate(line["cpu_seconds"] for line in lines)
    return [
        {"stage": line["stage"], "passes": p, "CPU s": s, "resolved, A": line["resolved_A"]}
        for line, p, s in zip(lines, passes, seconds, strict=True)
    ]


def first_reached(resolution: float, courses: dict[str, list[Record]]) -> Record | None:
    """When each method first resolved so much; None if none did."""
    row: Record = {"resolution, A": resolution}
    for method, course in courses.items():
        there = next((point for point in course if point["resolved, A"] <= resolution), None)
        row |= {f"{method} {name}": None if there is None else there[name] for name in ("passes", "CPU s")}
    return row if any(value is not None for name, value in row.items() if name != "resolution, A") else None


if __name__ == "__main__":
    cyclopts.run(main)
