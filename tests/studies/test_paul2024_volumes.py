"""Variance-reduced methods on volumes, in small, and the table of their passes."""

from dataclasses import replace
from pathlib import Path

import torch
from small_studies import read_rows, run_study

from cryorbit.studies.paul2024.volumes import run as study
from cryorbit.studies.tables import RANGE


def test_volumes_in_small(tmp_path: Path) -> None:
    files = run_study("paul2024_volumes", tmp_path, images=40, held_out=10, radius=2.5, passes=3.0).files
    assert set(files) == {*("courses.csv", "courses.md", "table.csv", "table.md", "figure.png")}
    points = read_rows(tmp_path / "courses.csv")
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


def test_several_seeds_are_a_median_and_a_range() -> None:
    likelihood = torch.tensor([0.0, 0.5, 0.6, 1.0])
    course = study.Course(study.RIVALS[0], 0, torch.arange(4.0), likelihood, torch.arange(4.0))
    slow = replace(course, log_likelihood=torch.tensor([0.0, 0.1, 0.2, 0.3]))
    courses = [course, replace(course, seed=1), replace(slow, seed=2)]
    # of the third seed another method shows what can be reached
    (row, _) = study.summarise([*courses, replace(course, rival=study.RIVALS[1], seed=2)])
    assert row["passes to 50 %"] == "1.0 (1.0 to inf)"
    assert row["nats below the best"] == "0.000 (0.000 to 0.700)"
    assert (row["seeds"], row["spread"]) == ("0, 1, 2", RANGE)
    # reached by fewer than half of the seeds
    assert study.summarise([replace(slow, seed=0), replace(slow, seed=1), *courses[:2]])[0]["seeds"] == "0, 1"
