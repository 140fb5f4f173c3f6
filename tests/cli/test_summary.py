"""The last words of a job: what is known of its classes, and what to do next."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cryorbit.cli.summary import print_summary


def said(record: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What is printed of a job."""
    print_summary(record, folder, Console(width=200))
    return capsys.readouterr().out


def record(verb: str, *classes: dict[str, Any], **config: Any) -> dict[str, Any]:
    return {"verb": verb, "config": config, "result": {"classes": list(classes)}}


def test_columns_of_which_nothing_is_known_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(record("postprocess", {"map": "postprocess.mrc", "resolution_A": 3.456}), tmp_path, capsys)
    assert text.splitlines()[0].split() == ["class", "resolution", "map"]
    assert text.splitlines()[1].split() == ["1", "3.5", "Å", "postprocess.mrc"]


def test_both_resolutions_are_shown_and_a_missing_one_is_a_dash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = {"map": "class_1.mrc", "particles": 1200, "fraction": 0.6, "resolution_A": 5.0, "resolution_masked_A": 4.2}
    second = {"map": "class_2.mrc", "particles": 800, "fraction": 0.4, "resolution_A": None}
    lines = said(record("classify", first, second), tmp_path, capsys).splitlines()
    assert "within mask" in lines[0]
    assert lines[1].split() == ["1", "1,200", "60", "%", "5.0", "Å", "4.2", "Å", "class_1.mrc"]
    assert lines[2].split() == ["2", "800", "40", "%", "-", "-", "class_2.mrc"]


@pytest.mark.parametrize(
    ("verb", "wanted", "unwanted"),
    [
        ("abinit", ["cryorbit refine", "relion_refine", "--diameter 90", "--particle_diameter 90"], ["postprocess"]),
        ("refine", ["cryorbit postprocess"], ["relion_refine", "--class-number"]),
        ("reconstruct", ["cryorbit postprocess"], ["relion_refine"]),
        ("run", [], ["cryorbit", "relion_refine"]),
        ("postprocess", [], ["cryorbit postprocess", "relion_refine"]),
    ],
)
def test_the_next_step_suits_the_job(
    verb: str, wanted: list[str], unwanted: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("particles.star", "view.cxc"):
        (tmp_path / name).touch()
    text = said(record(verb, {"map": "map.mrc"}, diameter=90.0), tmp_path, capsys)
    assert "chimerax" in text
    steps = text.partition("chimerax")[2]
    for words in wanted:
        assert words in steps
    for words in unwanted:
        assert words not in steps.replace(str(tmp_path), "")


def test_one_of_several_classes_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--class-number 1" in said(record("classify", {"map": "a"}, {"map": "b"}), tmp_path, capsys)


def test_the_comparison_with_another_map_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compared = {"map": "truth_1.mrc", "resolution_fsc05_A": 27.04, "correlation": 0.7812, "hand_flipped": True}
    text = said({"verb": "moments", "config": {}, "result": {"compared": compared}}, tmp_path, capsys)
    assert "Against truth_1.mrc: resolution 27.0 Å (FSC 0.5), correlation 0.781; this map was mirrored." in text
