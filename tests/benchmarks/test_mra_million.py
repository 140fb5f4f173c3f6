"""The benchmark of a million observations, on a few thousand: what it measures and tells."""

import json
from pathlib import Path

import pytest

from mra_million import main


def test_a_pass_is_measured_and_the_signal_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(count=4000, length=16, window=12, repeats=1, output=tmp_path / "x.json")
    record = json.loads((tmp_path / "x.json").read_text())
    assert record["pass"]["GFLOP"] == pytest.approx(4e-9 * 4000 * 12 * 16)
    assert record["pass"]["pass s"] > 0
    assert record["course"][0]["error"] > 0.3
    assert record["course"][-1]["error"] < 0.2
    assert "part of bare" in capsys.readouterr().out
