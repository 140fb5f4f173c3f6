"""Chapter 4 of Paul (2024) in small: every method on the alignment and on the cryo-EM of the thesis."""

from pathlib import Path

import pytest
import torch
from small_studies import read_rows, run_study

from cryorbit.studies.paul2024.ch4 import cryoem
from cryorbit.studies.paul2024.ch4 import run as chapter
from cryorbit.studies.paul2024.ch4.config import CryoEMSettings
from cryorbit.studies.paul2024.ch4.contenders import CONTENDERS, CRYO_CONTENDERS
from cryorbit.studies.tables import RANGE


@pytest.mark.slow
def test_chapter_4_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cryoem, "run", lambda *_: None)
    settings = {"seed": 1, "alignment": {"seeds": 1, "passes": 130.0}}
    files = run_study("paul2024_ch4", tmp_path, **settings).files
    assert set(files) == {
        *("runs.csv", "runs.md", "table.csv", "table.md", "figure_4_1.png", "figure_4_2.png", "figure_4_3.png")
    }
    assert all((tmp_path / name).stat().st_size > 500 for name in files)
    table = (tmp_path / "table.csv").read_bytes()
    monkeypatch.setattr(chapter, "minimise", None)
    assert run_study("paul2024_ch4", tmp_path, **settings).files == files
    assert (tmp_path / "table.csv").read_bytes() == table, "finished runs are kept, not done again"
    rows = {row["method"]: row for row in read_rows(tmp_path / "table.csv")}
    assert list(rows) == [contender.name for contender in CONTENDERS]
    for name in ("SVRG+II", "sEM-vr", "sEM-vr of statistics", "sEM-vr+QN"):
        assert rows[name]["converged"] == "1 of 1"
        assert float(rows[name]["gap"]) < 1e-11
    for name in ("sEM-vr+QN, as printed", "sEM-vr+QN, as printed, eta 0.1", "sEM-vr+QN, as printed, eta 0.01"):
        assert rows[name]["passes"] == "diverges"
    assert rows["GD"]["passes"].startswith("130+")
    assert (rows["GD"]["seeds"], rows["GD"]["spread"]) == ("1", "one seed")


def test_cryoem_of_chapter_4_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chapter, "run_alignment", lambda *_: None)
    small = {"seeds": 2, "passes": 6.0, "images": 90, "design": 32, "degree": 5}
    files = run_study("paul2024_ch4", tmp_path, cryoem=small).files
    assert set(files) == {
        *("runs_cryoem.csv", "runs_cryoem.md", "table_cryoem.csv", "table_cryoem.md", "volume_4_4.mrc"),
        *("figure_4_4.png", "figure_4_5.png", "figure_4_6.png"),
    }
    assert all((tmp_path / name).stat().st_size > 300 for name in files)
    rows = {row["method"]: row for row in read_rows(tmp_path / "table_cryoem.csv")}
    assert list(rows) == [contender.name for contender in CRYO_CONTENDERS]
    assert rows["SVRG+II, as printed"]["published passes"] == "790"
    assert {(row["seeds"], row["spread"]) for row in rows.values()} == {("0, 1", RANGE)}
    assert {row["seeds"] for row in read_rows(tmp_path / "runs_cryoem.csv")} == {"0", "1"}
    assert "Table 4.3" in (tmp_path / "table_cryoem.md").read_text().replace("table", "Table")


def test_the_problem_of_cryoem_is_that_of_the_thesis() -> None:
    drawn, start = cryoem.make_data(0, CryoEMSettings())
    assert drawn.data.shape == (3600, 226)
    noise = drawn.data - drawn.clean
    assert float(drawn.clean.square().sum() / noise.square().sum()) == pytest.approx(0.34, rel=0.02)
    assert start.shape == (64,)
    volume = cryoem.make_volume()
    assert torch.equal(volume, cryoem.make_volume())
    assert float(start.norm()) == pytest.approx(float(volume.norm()))
    assert not torch.equal(cryoem.make_data(1, CryoEMSettings())[0].data, drawn.data)
