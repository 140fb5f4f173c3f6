"""Results written and read: nothing is lost, older records are understood, damaged ones are named."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cryorbit.core.errors import InputError
from cryorbit.core.verdict import Verdict
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import (
    ClassRecord,
    CrossSeed,
    Measured,
    ParticleCount,
    Result,
    StageRecord,
    TruthRecord,
    as_record,
    read_result,
)

ONLY = ClassRecord(name="map", map="map.mrc", fsc="fsc.csv", particles=90, fraction=1.0, resolution_A=4.5, limits=())


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnResult(Result):
    """The result of a recipe with numbers of its own."""

    misfit: Measured
    spread: float | None
    counts: dict[str, int]


OWN = OwnResult(
    classes=(ONLY,),
    verdict=Verdict("doubtful", "Look at it.", ("views are uneven",)),
    particles=ParticleCount(90, 2),
    notes=("read",),
    cross_seed=CrossSeed((0, 1), ((8.0, 12.0), (12.0, 8.0)), ((1.0, 0.9), (0.9, 1.0)), (3.5, 3.0)),
    stages=(StageRecord("Ab initio", "abinit", "1_abinit"),),
    truth=TruthRecord(map="truth.mrc", superposed="on_truth.mrc", correlation=0.9, hand_flipped=False),
    misfit=1.5,
    spread=None,
    counts={"caps": 0},
)


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    return JobFolder.create(tmp_path / "job", verb="abinit", config={})


def test_a_result_comes_back_as_it_was_written(job: JobFolder) -> None:
    job.write_result(OWN)
    assert job.read_result(OwnResult) == OWN
    assert job.read_result(Result) == Result(**{name: getattr(OWN, name) for name in Result.__slots__})


def test_what_nobody_set_is_left_out_and_what_is_empty_on_purpose_is_not(job: JobFolder) -> None:
    job.write_result(OWN)
    content = json.loads((job.path / "job.json").read_text())["result"]
    assert "diameter_A" not in content
    assert content["spread"] is None
    assert content["counts"] == {"caps": 0}
    assert content["truth"]["hand_flipped"] is False
    assert content["classes"] == [
        {
            "name": "map",
            "map": "map.mrc",
            "fsc": "fsc.csv",
            "particles": 90,
            "fraction": 1.0,
            "resolution_A": 4.5,
            "limits": [],
        }
    ]


def test_numbers_that_are_not_finite_come_back_as_no_number(job: JobFolder) -> None:
    job.write_result(OwnResult(misfit=math.inf, spread=math.nan, counts={}))
    result = job.read_result(OwnResult)
    assert math.isnan(result.misfit)
    assert result.spread is None


def test_results_are_merged_field_by_field(job: JobFolder) -> None:
    job.write_result(Result(stages=OWN.stages))
    job.write_result(Result(classes=(ONLY,)))
    assert job.read_result(Result) == Result(classes=(ONLY,), stages=OWN.stages)


def test_a_job_without_a_result_has_an_empty_one(job: JobFolder) -> None:
    assert job.read_result(Result) == Result()


def test_records_of_older_versions_are_read() -> None:
    """Classes had neither names nor curves, unknown fields stood beside known ones, null stood for nothing."""
    old = {"classes": [{"map": "a.mrc", "particles": 5, "era": 1}, {}], "total": 3.5, "notes": None, "stages": None}
    first, second = read_result({"result": old}, Result).classes
    assert (first.name, first.map, first.fsc, first.particles) == ("class 1", "a.mrc", "fsc_class_1.csv", 5)
    assert (second.name, second.map, second.particles) == ("class 2", "class_2.mrc", None)


@pytest.mark.parametrize(
    ("result", "place"),
    [
        ({"classes": 3}, "'result.classes'"),
        ({"classes": [3]}, "'result.classes.0'"),
        ({"classes": [{"particles": "many"}]}, "'result.classes.0.particles'"),
        ({"classes": [{"map": None}]}, "'result.classes.0.map'"),
        ({"verdict": "good"}, "'result.verdict'"),
        ({"verdict": {"level": "great", "sentence": "Trust it.", "reasons": []}}, "'result.verdict.level'"),
        ({"verdict": {"level": "good", "sentence": "Trust it."}}, "'result.verdict.reasons'"),
        ({"stages": [{"title": "a", "verb": "b", "folder": ""}]}, "'result.stages.0.folder'"),
        ({"truth": {"map": "a.mrc"}}, "'result.truth.superposed'"),
        ({"cross_seed": {"seeds": [1], "correlation": [["x"]]}}, "'result.cross_seed.correlation.0.0'"),
        ({"particles": [1, 2]}, "'result.particles'"),
    ],
)
def test_a_damaged_result_is_named_with_its_file(job: JobFolder, result: dict[str, Any], place: str) -> None:
    job.record(result=result)
    with pytest.raises(InputError) as raised:
        JobFolder.open(job.path)
    assert raised.value.file == job.path / "job.json"
    assert place in str(raised.value)
    assert "instance of" not in str(raised.value)


def test_a_recipe_is_told_what_its_record_lacks(job: JobFolder) -> None:
    job.write_result(Result())
    with pytest.raises(InputError, match=r"job\.json: .*'result\.counts'"):
        job.read_result(OwnResult)


def test_dataclasses_in_mappings_are_taken_apart() -> None:
    assert as_record({"a": ParticleCount(1, 2), "b": [ONLY.limits]}) == {"a": {"used": 1, "set_aside": 2}, "b": [[]]}
