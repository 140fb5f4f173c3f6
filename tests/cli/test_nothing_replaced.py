"""Whatever a verb is told to write to, no file of the user's is ever replaced."""

from pathlib import Path

import mrcfile
import numpy as np
import pytest
from test_main import run

from cryorbit.io.destinations import WRITTEN
from small_sets import blob_images, write_star_set

COUNT = 60


def write_map_file(file: Path, seed: int) -> None:
    with mrcfile.new(file) as map_file:
        map_file.set_data(np.random.default_rng(seed).random((16, 16, 16), np.float32))
        map_file.voxel_size = 2.0


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its name."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder, in which the command is typed: particles, maps, results of other programs."""
    write_star_set(tmp_path, blob_images(COUNT, np.random.default_rng(3)))
    for seed, name in enumerate(("map.mrc", "a.mrc", "half1.mrc", "half2.mrc")):
        write_map_file(tmp_path / name, seed)
    np.savez(tmp_path / "observations.npz", data=np.zeros((3, 1, 4)), length=4, sigma=0.1)
    for name in ("results.json", "out.star", "poses_ctf.pkl", "report.html", "job.csv"):
        (tmp_path / name).write_text("mine")
    monkeypatch.chdir(tmp_path)
    return tmp_path


COMMANDS = [
    "run particles.star -o .",
    "demo -o .",
    "demo --real -o .",
    "abinit particles.star -o .",
    "reconstruct particles.star -o .",
    "reconstruct particles.star -o Extract",
    "refine particles.star --map map.mrc -o .",
    "classify particles.star --map map.mrc a.mrc -o .",
    "optimise particles.star -o .",
    "moments particles.star -o .",
    "simulate map.mrc -o . -n 60",
    "postprocess --half1 half1.mrc --half2 half2.mrc -o .",
    "inspect particles.star -o .",
    "inspect particles.star -o Extract",
    "convert particles.star particles.star",
    "convert particles.star out.star",
    "convert particles.star poses.pkl",
    "compare a.mrc map.mrc -o a.mrc",
    "compare a.mrc map.mrc --json results.json",
    "evaluate . --truth-map map.mrc --json results.json",
    "mra simulate -o .",
    "mra solve observations.npz -o .",
    "mra moments observations.npz -o .",
    "mra train -o .",
    "reproduce punjani2014 -o .",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_or_a_file_of_the_users_is_left_alone(
    project: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    before = contents(project)
    assert run(*command.split()) == 2
    assert contents(project) == before
    said = capsys.readouterr().err
    assert "other files" in said or "the file exists" in said or "already holds" in said
    assert "fix: choose" in said


def test_a_job_writes_no_kind_of_file_that_the_guard_does_not_know(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("reconstruct", "particles.star", "-o", "job") == 0, capsys.readouterr().err
    assert run("postprocess", "job") == 0, capsys.readouterr().err
    assert run("inspect", "particles.star", "-o", "seen") == 0, capsys.readouterr().err
    made = [file for folder in ("job", "seen") for file in (project / folder).iterdir() if file.is_file()]
    assert len(made) > 15
    assert {file.suffix for file in made if file.name != "log.txt"} <= WRITTEN
