"""What is offered after a job follows its verdict."""

from pathlib import Path
from typing import Any

import pytest

from cryorbit.core.verdict import Level, Verdict
from cryorbit.io.job_result import ClassRecord, Result
from cryorbit.report.next_steps import next_steps


def purposes(folder: Path, verb: str, level: Level, status: str = "finished", **config: Any) -> list[str]:
    """What the steps after a job with one map are for."""
    (folder / "particles.star").touch()
    record = {"verb": verb, "status": status, "config": {"particles": "p.star", **config}}
    result = Result(classes=(ClassRecord(name="map", map="map.mrc"),), verdict=Verdict(level, "a sentence", ()))
    return [step.purpose for step in next_steps(record, result, folder)]


@pytest.mark.parametrize("verb", ["abinit", "refine", "classify", "reconstruct", "run"])
def test_a_map_that_is_not_to_be_trusted_is_not_worked_on(verb: str, tmp_path: Path) -> None:
    assert not {"refine", "sharpen", "or"} & set(purposes(tmp_path, verb, "bad"))
    assert "check" in purposes(tmp_path, verb, "bad")


def test_a_good_map_is_refined_or_sharpened(tmp_path: Path) -> None:
    assert purposes(tmp_path, "abinit", "good", seeds=1) == ["refine", "or"]
    assert purposes(tmp_path, "refine", "good") == ["sharpen"]


def test_a_single_start_is_verified_first(tmp_path: Path) -> None:
    assert purposes(tmp_path, "abinit", "doubtful", seeds=1)[0] == "verify"
    assert "verify" not in purposes(tmp_path, "abinit", "doubtful", seeds=3)


def test_a_map_from_moments_in_doubt_is_held_against_one_ab_initio(tmp_path: Path) -> None:
    assert purposes(tmp_path, "moments", "good") == ["refine", "or"]
    assert purposes(tmp_path, "moments", "doubtful") == ["verify", "refine", "or"]
    assert purposes(tmp_path, "moments", "bad") == ["verify", "check"]


def test_a_run_from_moments_that_failed_is_tried_from_the_other_start(tmp_path: Path) -> None:
    assert purposes(tmp_path, "run", "bad", start="moments") == ["instead", "check"]
    assert "instead" not in purposes(tmp_path, "run", "bad", start="abinit")
    assert purposes(tmp_path, "run", "good", start="moments") == []


@pytest.mark.parametrize("status", ["stopped", "failed"])
def test_a_job_that_did_not_end_is_continued(status: str, tmp_path: Path) -> None:
    assert purposes(tmp_path, "refine", "good", status) == ["continue"]
