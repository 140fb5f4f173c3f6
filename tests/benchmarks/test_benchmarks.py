"""The benchmarks measure what they say; what they look at is still there."""

import itertools
import sys
from pathlib import Path

import pytest

from abinit_vs_relion import PHASES, relion_command, shortened
from estep import STAGES
from measure import CRYORBIT, run_measured
from stopwatch import Stopwatch, watching
from tables import save, show

BUSY = "import time; end = time.process_time() + 0.5\nwhile time.process_time() < end: pass"


def test_the_time_of_a_child_and_its_memory_are_counted(tmp_path: Path) -> None:
    grandchild = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}], check=True)"
    cost = run_measured([sys.executable, "-c", grandchild], tmp_path / "log")
    assert cost.cpu_s > 0.5
    assert cost.wall_s > 0.5
    greedy = run_measured([sys.executable, "-c", "len(bytearray(400 * 2**20))"], tmp_path / "log")
    assert greedy.peak_MiB > 400


def test_what_a_child_took_is_counted_though_its_parent_is_ended(tmp_path: Path) -> None:
    endless = "held = bytearray(400 * 2**20)\nwhile True: pass"
    grandchild = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {endless!r}], timeout=20)"
    cost = run_measured([sys.executable, "-c", grandchild], tmp_path / "log", limit_s=4)
    assert 0.5 < cost.cpu_s < 5
    assert cost.peak_MiB > 400
    assert cost.wall_s < 20


def test_a_command_that_fails_is_not_measured(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ended with 2"):
        run_measured([*CRYORBIT, "resume", tmp_path], tmp_path / "log")
    assert "holds no job" in (tmp_path / "log").read_text()


def test_time_is_counted_once_where_stages_call_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 3.0, 4.5])
    monkeypatch.setattr("stopwatch.time.perf_counter", lambda: next(clock))
    watch = Stopwatch()
    inner = watch.timed("inner", lambda: None)
    watch.timed("outer", lambda: inner())()
    assert watch.seconds == {"inner": 2.0, "outer": 2.5}


def test_stages_are_functions_that_exist_and_are_put_back() -> None:
    before = [getattr(owner, name) for places in STAGES.values() for owner, name in places]
    assert all(callable(function) for function in before)
    with watching(STAGES):
        during = [getattr(owner, name) for places in STAGES.values() for owner, name in places]
    assert not set(map(id, before)) & set(map(id, during))
    assert before == [getattr(owner, name) for places in STAGES.values() for owner, name in places]


@pytest.mark.parametrize("iterations", [300, 90, 31, 3])
def test_phases_are_shortened_in_proportion(iterations: int) -> None:
    phases = shortened(iterations)
    assert sum(phases) == iterations
    assert phases[0] == phases[2] == max(1, round(iterations / 6))
    assert shortened(sum(PHASES)) == PHASES


def test_the_relion_command_names_files_threads_and_phases() -> None:
    words = [str(word) for word in relion_command(Path("a.star"), Path("out/run"), (1, 4, 2), 250.0, 2)]
    options = dict(itertools.pairwise(words))
    assert (options["--i"], options["--o"], options["--j"]) == ("a.star", "out/run", "2")
    assert [options[f"--sgd_{name}_iter"] for name in ("ini", "inbetween", "fin")] == ["1", "4", "2"]


def test_tables_and_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"program": "a", "CPU s": 1234.6, "FSC 0.5, A": 11.94}]
    show("A title", rows, ["a note [with brackets]"])
    shown = capsys.readouterr().out
    for word in ("A title", "1,235", "11.9", "a note [with brackets]"):
        assert word in shown
    save(tmp_path / "results" / "x.json", "x", {"rows": rows})
    text = (tmp_path / "results" / "x.json").read_text()
    assert '"CPU s": 1234.6' in text
    assert '"host"' not in text
