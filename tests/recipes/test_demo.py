"""``cryorbit demo``, small: everything is in its folder, and stopping does not change it."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch

from cryorbit.cli.job_work import EXIT_STOPPED
from cryorbit.cli.main import main
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.mrc import read_map
from cryorbit.recipes import demo
from cryorbit.recipes.abinit import run as run_abinit

SMALL = """
count = 600
snr = 0.2
seeds = 1
[search]
iterations = 50
"""
TINY = """
count = 150
snr = 0.5
seeds = 1
[search]
iterations = 3
[grow]
iterations = 1
"""


def run(*arguments: str | Path) -> int:
    """Exit code of the command."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def run_demo(folder: Path, settings: str) -> int:
    """Exit code of a demo with settings from a file."""
    file = folder.with_suffix(".toml")
    file.write_text(settings)
    return run("demo", "-o", folder, "--config", file, "--seed", "3", "--device", "cpu")


def test_the_packaged_map_is_a_ribosome_in_a_cube() -> None:
    with demo.demo_map() as path:
        volume, pixel_size = read_map(path)
    assert volume.shape == (64, 64, 64)
    assert pixel_size == pytest.approx(5.6)
    mass = volume.clamp_min(0)
    inside = (mass > 0.1).float().mean() * (64 * 5.6) ** 3
    # 2.5 MDa of protein and RNA take about 2.8e6 A^3; a map at this resolution is a little thicker
    assert 2.0e6 < float(inside) < 6.0e6


@pytest.mark.slow
def test_the_map_and_the_poses_are_the_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "job"
    assert run_demo(folder, SMALL) == 0
    record = JobFolder.open(folder).read()
    assert record["status"] == "finished"
    truth = record["result"]["truth"]
    assert truth["resolution_fsc05_A"] < 15
    assert truth["angle_median_deg"] < 4
    superposed, _ = read_map(folder / truth["superposed"])
    true_map, _ = read_map(folder / truth["map"])
    correlation = float(torch.corrcoef(torch.stack([superposed.flatten(), true_map.flatten()]))[0, 1])
    assert correlation == pytest.approx(truth["correlation"], abs=0.01)
    assert json.loads((folder / "evaluation.json").read_text())["matched_particles"] == 600
    assert "Against the truth" in (folder / "report.html").read_text()
    assert f"resolution {truth['resolution_fsc05_A']:.1f} Å" in capsys.readouterr().out


@pytest.mark.slow
def test_a_demo_that_was_stopped_ends_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped_run(*arguments: object) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        return run_abinit(*arguments)

    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    assert run_demo(straight, TINY) == 0
    with monkeypatch.context() as patch:
        patch.setattr(demo.abinit, "run", stopped_run)
        assert run_demo(stopped, TINY) == EXIT_STOPPED
    images = stopped / "simulated" / "particles.mrcs"
    made = images.stat().st_mtime_ns
    assert run("resume", stopped) == 0
    assert images.stat().st_mtime_ns == made
    assert (stopped / "class_1.mrc").read_bytes() == (straight / "class_1.mrc").read_bytes()
    ours, theirs = ((folder / "evaluation.json").read_text() for folder in (stopped, straight))
    assert ours == theirs.replace(str(straight), str(stopped))
