"""A measured ``cryorbit abinit``, and how far any map is from the truth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from measure import CRYORBIT, Cost, run_measured

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MeasuredJob:
    """What a job cost, where its map is, and the seconds of each of its stages."""

    cost: Cost
    map: Path
    stages: dict[str, float]


def measured_abinit(star: Path, folder: Path, options: Sequence[str] = ()) -> MeasuredJob:
    """Run ``cryorbit abinit`` on the CPU."""
    words = ("abinit", star, "-o", folder, "--device", "cpu", *options)
    cost = run_measured([*CRYORBIT, *words], folder.with_name(folder.name + ".log"))
    stages: dict[str, float] = {}
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        entry = json.loads(line)
        stages[entry["stage"]] = stages.get(entry["stage"], 0.0) + entry["seconds"]
    return MeasuredJob(cost, folder / "class_1.mrc", stages)


def agreement(found: Path, truth: Path, scratch: Path) -> Record:
    """Resolutions, A, to which a map and the truth correlate once it is superposed on it."""
    file = scratch / f"{found.stem}_compared.json"
    run_measured([*CRYORBIT, "compare", found, truth, "--json", file], file.with_suffix(".log"))
    record = json.loads(file.read_text())
    return {"FSC 0.5, A": record["resolution_fsc05_A"], "FSC 0.143, A": record["resolution_fsc0143_A"]}


def nearness(job: Path, truth_map: Path, truth_poses: Path, symmetry: str = "C1") -> Record:
    """How near the one map of a job and its poses are to the truth."""
    file = job / "evaluation.json"
    words = ("evaluate", job, "--truth-map", truth_map, "--truth-poses", truth_poses, "--json", file)
    words += ("--symmetry", symmetry)
    run_measured([*CRYORBIT, *words], file.with_suffix(".log"))
    (found,) = json.loads(file.read_text())["classes"]
    poses = found["poses"]
    return {
        "FSC 0.5, A": found["resolution_fsc05_A"],
        "FSC 0.143, A": found["resolution_fsc0143_A"],
        "pose error, degrees": poses["angle_median_deg"],
        "shift error, A": poses["shift_median_A"],
    }


def told_cost(cost: Cost) -> Record:
    """The cost as columns of a table."""
    names = {"wall_s": "wall s", "cpu_s": "CPU s", "peak_MiB": "peak MiB"}
    return {names[key]: value for key, value in asdict(cost).items()}
