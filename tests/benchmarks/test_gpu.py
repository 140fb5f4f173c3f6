"""The trial of a graphics card ends in time, and tells what failed, what was ended and what was not begun."""

import subprocess
import time
from pathlib import Path

import pytest

import gpu
from gpu import Trial


def trial(folder: Path, seconds: float) -> Trial:
    return Trial(folder, "cpu", 10, 32, time.monotonic() + seconds)


def failing(_: Trial) -> str:
    raise RuntimeError("first\nerror: no such file\n")


def endless(limits: Trial) -> str:
    subprocess.run(["sleep", "60"], timeout=limits.left, check=True)
    return "awake"


def test_stages_end_in_time(tmp_path: Path) -> None:
    limits = trial(tmp_path, 1.0)
    outcomes = [gpu._outcome(name, stage, limits) for name, stage in {"a": endless, "b": endless}.items()]
    assert [each.status for each in outcomes] == ["ended", "skipped"]
    assert sum(each.seconds for each in outcomes) < 20


def test_a_stage_that_fails_keeps_no_other_from_its_turn(tmp_path: Path) -> None:
    limits = trial(tmp_path, 60.0)
    outcomes = [gpu._outcome(name, stage, limits) for name, stage in {"a": failing, "b": lambda _: "fine"}.items()]
    assert [(each.status, each.note) for each in outcomes] == [("failed", "error: no such file"), ("done", "fine")]


def test_a_failure_is_printed_and_told_by_the_exit_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "STAGES", {"tests": failing, "E-step": lambda _: "half of it"})
    with pytest.raises(SystemExit) as ended:
        gpu.main(device="cpu", count=10, output=tmp_path)
    assert ended.value.code == 1
    assert "failed: tests" in capsys.readouterr().out
    (record,) = tmp_path.glob("*.md")
    assert "| E-step | done | 0 | half of it |" in record.read_text()
    assert (tmp_path / "gpu_cpu.json").exists()
