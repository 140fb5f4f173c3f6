"""Reproductions: the list, the tables, and a small run of every method of the chapter."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cryorbit.cli.main import main
from cryorbit.core.progress import SilentProgress
from cryorbit.inference.pose_quadrature import ShiftPrior
from cryorbit.recipes.reproduce import (
    REPRODUCTIONS,
    ReproduceConfig,
    find_reproduction,
    paul2024_ch4,
    paul2024_cryoem,
    paul2024_volumes,
)
from cryorbit.recipes.reproduce.paul2024_contenders import CONTENDERS, CRYO_CONTENDERS
from cryorbit.recipes.reproduce.tables import as_markdown


def test_the_list_names_every_entry(capsys: pytest.CaptureFixture[str]) -> None:
    main(["reproduce", "list"])
    shown = capsys.readouterr().out
    for name, entry in REPRODUCTIONS.items():
        assert name in shown
        assert callable(entry.run)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nothing", "-o", "x"], "nothing to reproduce"),
        (["paul2024_ch4"], "no folder"),
        (["paul2024_ch4", "-o", "x", "--full", "--medium"], "leave one out"),
        (["toader2023", "-o", "x", "--medium"], "choose one of quick, full"),
    ],
)
def test_mistakes_are_told(arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["reproduce", *arguments])
    assert end.value.code == 2
    assert problem in capsys.readouterr().err


@pytest.mark.slow
def test_chapter_4_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paul2024_ch4, "SCALES", {"quick": (1, 130.0)})
    monkeypatch.setattr(paul2024_cryoem, "run", lambda *_: [])
    config = ReproduceConfig(name="paul2024_ch4", output=tmp_path, seed=1)
    files = find_reproduction("paul2024_ch4").run(config, SilentProgress())
    assert {file.name for file in files} == {
        *("runs.csv", "runs.md", "table.csv", "table.md", "figure_4_1.png", "figure_4_2.png", "figure_4_3.png")
    }
    assert all(file.stat().st_size > 500 for file in files)
    table = (tmp_path / "table.csv").read_bytes()
    monkeypatch.setattr(paul2024_ch4, "minimise", None)
    find_reproduction("paul2024_ch4").run(config, SilentProgress())
    assert (tmp_path / "table.csv").read_bytes() == table, "finished runs are kept, not done again"
    with (tmp_path / "table.csv").open() as stream:
        rows = {row["method"]: row for row in csv.DictReader(stream)}
    assert list(rows) == [contender.name for contender in CONTENDERS]
    for name in ("SVRG+II", "sEM-vr", "sEM-vr of statistics", "sEM-vr+QN"):
        assert rows[name]["converged"] == "1 of 1"
        assert float(rows[name]["gap"]) < 1e-11
    for name in ("sEM-vr+QN, as printed", "sEM-vr+QN, as printed, eta 0.1", "sEM-vr+QN, as printed, eta 0.01"):
        assert rows[name]["passes"] == "diverges"
    assert rows["GD"]["passes"].startswith("130+")


def test_cryoem_of_chapter_4_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paul2024_cryoem, "SCALES", {"quick": (1, 12.0)})
    monkeypatch.setattr(paul2024_cryoem, "COUNT", 90)
    monkeypatch.setattr(paul2024_cryoem, "DESIGN", 32)
    monkeypatch.setattr(paul2024_cryoem, "DEGREE", 5)
    config = ReproduceConfig(name="paul2024_ch4", output=tmp_path)
    files = paul2024_cryoem.run(config, SilentProgress())
    assert {file.name for file in files} == {
        *("runs_cryoem.csv", "runs_cryoem.md", "table_cryoem.csv", "table_cryoem.md", "volume_4_4.mrc"),
        *("figure_4_4.png", "figure_4_5.png", "figure_4_6.png"),
    }
    assert all(file.stat().st_size > 300 for file in files)
    with (tmp_path / "table_cryoem.csv").open() as stream:
        rows = {row["method"]: row for row in csv.DictReader(stream)}
    assert list(rows) == [contender.name for contender in CRYO_CONTENDERS]
    assert rows["SVRG+II, as printed"]["published passes"] == "790"
    assert "Table 4.3" in (tmp_path / "table_cryoem.md").read_text().replace("table", "Table")


def test_the_problem_of_cryoem_is_that_of_the_thesis() -> None:
    drawn, start = paul2024_cryoem.make_data(0)
    assert drawn.data.shape == (3600, 226)
    noise = drawn.data - drawn.clean
    assert float(drawn.clean.square().sum() / noise.square().sum()) == pytest.approx(0.34, rel=0.02)
    assert start.shape == (64,)
    volume = paul2024_cryoem.make_volume()
    assert torch.equal(volume, paul2024_cryoem.make_volume())
    assert float(start.norm()) == pytest.approx(float(volume.norm()))
    assert not torch.equal(paul2024_cryoem.make_data(1)[0].data, drawn.data)


def test_volumes_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = paul2024_volumes.Scale(40, 10, 2.5, ShiftPrior(0.0), 2.0, 1, 3.0, 1)
    monkeypatch.setattr(paul2024_volumes, "SCALES", {"quick": small})
    files = find_reproduction("paul2024_volumes").run(
        ReproduceConfig(name="paul2024_volumes", output=tmp_path), SilentProgress()
    )
    assert {file.name for file in files} == {*("courses.csv", "courses.md", "table.csv", "table.md", "figure.png")}
    with (tmp_path / "courses.csv").open() as stream:
        points = list(csv.DictReader(stream))
    starts = {row["method"]: row["log_likelihood"] for row in points if float(row["passes"]) < 1e-9}
    assert len(set(starts.values())) == 1
    ends = {row["method"]: float(row["log_likelihood"]) for row in points}
    assert set(ends) == {rival.name for rival in paul2024_volumes.RIVALS}
    assert all(value > float(starts["EM"]) for value in ends.values())


def test_passes_to_a_level_are_those_of_the_first_look_above_it() -> None:
    course = paul2024_volumes.Course(
        paul2024_volumes.RIVALS[0], 0, torch.arange(4.0), torch.tensor([0.0, 0.5, 0.4, 1.0]), torch.arange(4.0)
    )
    assert paul2024_volumes.passes_to(course, 0.45) == 1.0
    assert paul2024_volumes.passes_to(course, 0.6) == 3.0
    assert paul2024_volumes.passes_to(course, 1.1) is None
    slower = replace(course, rival=paul2024_volumes.RIVALS[1], log_likelihood=torch.tensor([0.0, 0.1, 0.2, 0.3]))
    others = [replace(slower, rival=rival) for rival in paul2024_volumes.RIVALS[1:]]
    rows = paul2024_volumes.summarise([course, *others])
    assert rows[0]["passes to 50 %"] == "1.0"
    assert rows[0]["nats below the best"] == "0.000"
    assert rows[1]["passes to 50 %"] == ""
    assert rows[1]["nats below the best"] == "0.700"
    assert rows[1]["held out, nats"] == "3.000"


def test_a_markdown_table_has_title_rows_and_notes() -> None:
    rows = [{"method": "a", "passes": 1}, {"method": "b", "passes": 2}]
    text = as_markdown(rows, "Title", ["note"])
    assert text.splitlines() == [
        *("# Title", "", "| method | passes |", "| --- | --- |", "| a | 1 |", "| b | 2 |", "", "- note")
    ]
