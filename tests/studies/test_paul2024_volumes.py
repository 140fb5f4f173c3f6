"""Variance-reduced methods on volumes, in small, and the table of their passes."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cryorbit.core.progress import SilentProgress
from cryorbit.inference.pose_quadrature import ShiftPrior
from cryorbit.studies import ReproduceConfig, find_reproduction
from cryorbit.studies.paul2024.volumes import run as study


def test_volumes_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = study.Scale(40, 10, 2.5, ShiftPrior(0.0), 2.0, 1, 3.0, 1)
    monkeypatch.setattr(study, "SCALES", {"quick": small})
    files = find_reproduction("paul2024_volumes").run(
        ReproduceConfig(name="paul2024_volumes", output=tmp_path), SilentProgress()
    )
    assert {file.name for file in files} == {*("courses.csv", "courses.md", "table.csv", "table.md", "figure.png")}
    with (tmp_path / "courses.csv").open() as stream:
        points = list(csv.DictReader(stream))
    starts = {row["method"]: row["log_likelihood"] for row in points if float(row["passes"]) < 1e-9}
    assert len(set(starts.values())) == 1
    ends = {row["method"]: float(row["log_likelihood"]) for row in points}
    assert set(ends) == {rival.name for rival in study.RIVALS}
    assert all(value > float(starts["EM"]) for value in ends.values())


def test_passes_to_a_level_are_those_of_the_first_look_above_it() -> None:
    course = study.Course(study.RIVALS[0], 0, torch.arange(4.0), torch.tensor([0.0, 0.5, 0.4, 1.0]), torch.arange(4.0))
    assert study.passes_to(course, 0.45) == 1.0
    assert study.passes_to(course, 0.6) == 3.0
    assert study.passes_to(course, 1.1) is None
    slower = replace(course, rival=study.RIVALS[1], log_likelihood=torch.tensor([0.0, 0.1, 0.2, 0.3]))
    others = [replace(slower, rival=rival) for rival in study.RIVALS[1:]]
    rows = study.summarise([course, *others])
    assert rows[0]["passes to 50 %"] == "1.0"
    assert rows[0]["nats below the best"] == "0.000"
    assert rows[1]["passes to 50 %"] == ""
    assert rows[1]["nats below the best"] == "0.700"
    assert rows[1]["held out, nats"] == "3.000"
