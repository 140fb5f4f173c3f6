"""``cryorbit demo``, small: everything is in its folder, and stopping does not change it."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch

from cryorbit.cli.jobs import EXIT_STOPPED
from cryorbit.cli.main import main
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.mrc import read_map
from cryorbit.recipes import demo
from cryorbit.recipes.abinit import run as run_abinit

SETTINGS = """
count = 300
snr = 1.0
seeds = 1
[search]
iterations = 25
batch_first = 40
batch_last = 60
[grow]
iterations = 4
"""


def run(*arguments: str | Path) -> int:
    """Exit code of the command."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("settings") / "settings.toml"
    file.write_text(SETTINGS)
    return file


@pytest.fixture(scope="module")
def folder(settings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished demo."""
    folder = tmp_path_factory.mktemp("demo") / "job"
    assert run("demo", "-o", folder, "--config", settings, "--seed", "3", "--device", "cpu") == 0
    return folder


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
def test_the_map_and_the_poses_are_the_truth(folder: Path) -> None:
    record = JobFolder.open(folder).read()
    assert record["status"] == "finished"
    truth = record["result"]["truth"]
    assert truth["resolution_fsc05_A"] < 15
    assert truth["angle_median_deg"] < 4
    superposed, _ = read_map(folder / truth["superposed"])
    true_map, _ = read_map(folder / truth["map"])
    correlation = float(torch.corrcoef(torch.stack([superposed.flatten(), true_map.flatten()]))[0, 1])
    assert correlation == pytest.approx(truth["correlation"], abs=0.01)
    assert json.loads((folder / "evaluation.json").read_text())["matched_particles"] == 300
    assert "Against the truth" in (folder / "report.html").read_text()


@pytest.mark.slow
def test_a_demo_that_was_stopped_ends_the_same(
    folder: Path, settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped_run(*arguments: object) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        return run_abinit(*arguments)

    stopped = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        patch.setattr(demo.abinit, "run", stopped_run)
        arguments = ("demo", "-o", stopped, "--config", settings, "--seed", "3", "--device", "cpu")
        assert run(*arguments) == EXIT_STOPPED
    images = stopped / "simulated" / "particles.mrcs"
    made = images.stat().st_mtime_ns
    assert run("resume", stopped) == 0
    assert images.stat().st_mtime_ns == made
    assert (stopped / "class_1.mrc").read_bytes() == (folder / "class_1.mrc").read_bytes()
    assert (stopped / "evaluation.json").read_text() == (folder / "evaluation.json").read_text().replace(
        str(folder), str(stopped)
    )
