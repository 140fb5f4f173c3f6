"""Reproductions: the list, the tables, and a small run of every method of the chapter."""

import csv
from pathlib import Path

import pytest

from cryorbit.cli.main import main
from cryorbit.core.progress import SilentProgress
from cryorbit.recipes.reproduce import REPRODUCTIONS, ReproduceConfig, find_reproduction, paul2024_ch4
from cryorbit.recipes.reproduce.paul2024_contenders import CONTENDERS
from cryorbit.recipes.reproduce.tables import as_markdown


def test_the_list_names_every_entry(capsys: pytest.CaptureFixture[str]) -> None:
    main(["reproduce", "list"])
    shown = capsys.readouterr().out
    for name, entry in REPRODUCTIONS.items():
        assert name in shown
        assert callable(entry.run)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [(["nothing", "-o", "x"], "nothing to reproduce"), (["paul2024_ch4"], "no folder")],
)
def test_mistakes_are_told(arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["reproduce", *arguments])
    assert end.value.code == 2
    assert problem in capsys.readouterr().err


@pytest.mark.slow
def test_chapter_4_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paul2024_ch4, "SCALES", {"quick": (1, 130.0)})
    config = ReproduceConfig(name="paul2024_ch4", output=tmp_path, seed=1)
    files = find_reproduction("paul2024_ch4").run(config, SilentProgress())
    assert {file.name for file in files} == {
        *("runs.csv", "runs.md", "table.csv", "table.md", "figure_4_1.png", "figure_4_2.png", "figure_4_3.png")
    }
    assert all(file.stat().st_size > 500 for file in files)
    with (tmp_path / "table.csv").open() as stream:
        rows = {row["method"]: row for row in csv.DictReader(stream)}
    assert list(rows) == [contender.name for contender in CONTENDERS]
    for name in ("SVRG+II", "sEM-vr", "sEM-vr of statistics", "sEM-vr+QN"):
        assert rows[name]["converged"] == "1 of 1"
        assert float(rows[name]["gap"]) < 1e-11
    for name in ("sEM-vr+QN, as printed", "sEM-vr+QN, as printed, eta 0.1", "sEM-vr+QN, as printed, eta 0.01"):
        assert rows[name]["passes"] == "diverges"
    assert rows["GD"]["passes"].startswith("130+")


def test_a_markdown_table_has_title_rows_and_notes() -> None:
    rows = [{"method": "a", "passes": 1}, {"method": "b", "passes": 2}]
    text = as_markdown(rows, "Title", ["note"])
    assert text.splitlines() == [
        *("# Title", "", "| method | passes |", "| --- | --- |", "| a | 1 |", "| b | 2 |", "", "- note")
    ]
