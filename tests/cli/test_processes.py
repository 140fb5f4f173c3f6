"""Several processes of one command: the same files as one makes, and how they end."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cryorbit.cli.main import main
from cryorbit.cli.processes import SHARING, require_sharing
from cryorbit.core.errors import InputError
from cryorbit.io.job_folder import PASS, JobFolder
from cryorbit.io.mrc import write_map
from cryorbit.io.pass_journal import MANIFEST
from phantom_sets import sharp_phantom

COUNT = 1100
"""Images, of two shards."""
SAME = ("map.mrc", "map_half1_unfil.mrc", "map_half2_unfil.mrc", "particles.star", "fsc.csv")
PASSES = "save_minutes = 0\n\n[passes]\niterations = 3\n"
"""What passes have done is kept after each batch."""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of small images, and settings of a short refinement."""
    folder = tmp_path_factory.mktemp("processes")
    write_map(folder / "map.mrc", sharp_phantom(torch.Generator().manual_seed(3)), 4.0)
    main(["simulate", str(folder / "map.mrc"), "-o", str(folder / "set"), "-n", str(COUNT), "--snr", "0.5", "-q"])
    (folder / "passes.toml").write_text(PASSES)
    return folder


def refine(images: Path, job: str, processes: int) -> list[str]:
    """A command that refines the set."""
    files = (images / "set" / "particles.star", "--map", images / "set" / "truth_1.mrc", "-o", images / job)
    words = ["refine", *map(str, files), "--config", str(images / "passes.toml"), "--method", "em"]
    return [*words, "--processes", str(processes), "--threads", "1", "-q"]


def run(words: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cryorbit", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


def measured(job: Path) -> list[dict[str, Any]]:
    """Lines of metrics without their times."""
    lines = [json.loads(line) for line in (job / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if "seconds" not in name} for line in lines]


def assert_the_same(job: Path, other: Path) -> None:
    for name in SAME:
        assert (job / name).read_bytes() == (other / name).read_bytes(), name
    assert measured(job) == measured(other)


@pytest.fixture(scope="module")
def alone(images: Path) -> Path:
    """The job of one process."""
    done = run(refine(images, "alone", 1))
    assert done.returncode == 0, done.stderr
    return images / "alone"


@pytest.mark.slow
def test_two_processes_make_the_files_of_one(images: Path, alone: Path) -> None:
    done = run(refine(images, "two", 2))
    assert done.returncode == 0, done.stderr
    assert_the_same(images / "two", alone)
    # nothing of the second process is left
    assert sorted(each.name for each in (images / "two" / "checkpoint").iterdir()) == ["lock", "state.pt"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_processes_that_are_stopped_or_killed_go_on_as_another_number(
    images: Path, alone: Path, number: signal.Signals
) -> None:
    job = images / f"ended_{number.value}"
    process = subprocess.Popen([sys.executable, "-m", "cryorbit", *refine(images, job.name, 2)])
    wait_for(process, lambda: (job / "checkpoint" / "state.pt").exists())
    # in the middle of the second pass
    wait_for(process, lambda: len(list(job.glob(f"checkpoint/{PASS}/*/{MANIFEST}"))) == 2)
    if number == signal.SIGTERM:
        process.send_signal(number)
    else:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[1]), number)
    code = process.wait(timeout=300)
    assert code == (130 if number == signal.SIGTERM else 128 + number)
    assert json.loads((job / "job.json").read_text())["status"] in {"stopped", "failed", "running"}
    done = run(["resume", str(job), "--processes", "1", "--threads", "1", "-q"])
    assert done.returncode == 0, done.stderr
    assert_the_same(job, alone)


def wait_for(process: subprocess.Popen[bytes], condition: Callable[[], bool]) -> None:
    """Wait until a job at work has come to something."""
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)


RANDOM = """
[random_start]
search = {iterations = 3, batch_first = 20, batch_last = 30, angular_spacing = 30.0}

[sgd]
iterations = 2
batch = 30

[passes]
iterations = 1

[poses]
cells = 2
angular_spacing = 30.0
"""


@pytest.mark.slow
def test_half_sets_that_begin_at_random_come_to_what_one_process_does(images: Path) -> None:
    """Each process makes the start of a half-set."""
    (images / "random.toml").write_text(RANDOM)
    for job, processes in (("random_of_one", "1"), ("random_of_two", "2")):
        files = ("refine", images / "set" / "particles.star", "-o", images / job, "--config", images / "random.toml")
        words = ("--no-check-start", "--max-resolution", "20", "--processes", processes, "--threads", "1", "-q")
        done = run([*map(str, (*files, *words))])
        assert done.returncode == 0, done.stderr
    assert_the_same(images / "random_of_two", images / "random_of_one")


STARTS = "[search]\niterations = 8\n\n[grow]\niterations = 2\nimages = 300\n"


def find_map(images: Path, job: str, processes: int, *options: str) -> list[str]:
    """A command that makes maps from random starts, by default from three."""
    (images / "starts.toml").write_text(STARTS)
    files = (images / "set" / "particles.star", "--config", images / "starts.toml", "-o", images / job)
    words = ["abinit", *map(str, files), "--diameter", "100", *(options or ("--seeds", "3"))]
    return [*words, "--processes", str(processes), "--threads", "1", "-q"]


@pytest.mark.slow
def test_starts_dealt_out_come_to_what_one_process_does(images: Path) -> None:
    """And a job whose starts were dealt out goes on as one process."""
    for job, processes in (("starts_of_one", 1), ("starts_of_two", 2)):
        done = run(find_map(images, job, processes))
        assert done.returncode == 0, done.stderr
    stopped = images / "starts_stopped"
    process = subprocess.Popen([sys.executable, "-m", "cryorbit", *find_map(images, stopped.name, 2)])
    wait_for(process, lambda: len(list(stopped.glob("checkpoint/part_*/checkpoint/state.pt"))) == 2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=300) == 130
    done = run(["resume", str(stopped), "--threads", "1", "-q"])
    assert done.returncode == 0, done.stderr
    alone = images / "starts_of_one"
    for other in (images / "starts_of_two", stopped):
        for name in ("class_1.mrc", "particles.star", "seeds.json"):
            assert (other / name).read_bytes() == (alone / name).read_bytes(), name
        assert measured(other) == measured(alone)
        assert sorted(each.name for each in (other / "checkpoint").iterdir()) == ["lock", "state.pt"]


@pytest.mark.slow
def test_starts_of_classes_searched_together_are_dealt_out_likewise(images: Path) -> None:
    for job, processes in (("joint_of_one", 1), ("joint_of_two", 2)):
        options = ("--preset", "cryosparc2017", "--classes", "2", "--seeds", "2", "--limit", "300")
        done = run(find_map(images, job, processes, *options))
        assert done.returncode == 0, done.stderr
    for name in ("class_1.mrc", "class_2.mrc", "particles.star", "seeds.json"):
        assert (images / "joint_of_one" / name).read_bytes() == (images / "joint_of_two" / name).read_bytes(), name
    assert measured(images / "joint_of_one") == measured(images / "joint_of_two")


MOMENTS = "resolution = 60.0\nstarts = 1\nkept = 1\ncoarse_steps = 5\nfine_steps = 5\n"
REFINE = '[refine]\nmethod = "em"\n[refine.passes]\niterations = 1\n[refine.poses]\nangular_spacing = 30.0\ncells = 4\n'
QUICK = {
    "moments": f"diameter = 100.0\n{MOMENTS}",
    "run": f'start = "moments"\ndiameter = 100.0\nmax_resolution = 20.0\n[moments]\n{MOMENTS}{REFINE}',
    "optimise": "diameter = 100.0\nepochs = 0.3\nresolution = 60.0\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("verb", QUICK)
def test_two_processes_make_the_map_of_one(images: Path, verb: str) -> None:
    (images / f"{verb}.toml").write_text(QUICK[verb])
    for processes in (1, 2):
        files = (
            images / "set" / "particles.star",
            "--config",
            images / f"{verb}.toml",
            "-o",
            images / f"{verb}{processes}",
        )
        done = run([verb, *map(str, files), "--processes", str(processes), "--threads", "1", "-q"])
        assert done.returncode == 0, done.stderr
    assert (images / f"{verb}1" / "map.mrc").read_bytes() == (images / f"{verb}2" / "map.mrc").read_bytes()


@pytest.mark.slow
def test_a_stopped_job_makes_maps_of_what_is_done(images: Path) -> None:
    stopped = images / "early"
    process = subprocess.Popen([sys.executable, "-m", "cryorbit", *refine(images, stopped.name, 1)])
    wait_for(process, lambda: (stopped / "checkpoint" / "state.pt").exists())
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=300) == 130
    passes = len(measured(stopped))
    done = run(["resume", str(stopped), "--finish-now", "--threads", "1"])
    assert done.returncode == 0, done.stderr
    assert "finished early" in done.stderr
    assert [line["stage"] for line in measured(stopped)] == ["pass"] * passes + ["final"]
    assert "finished early" in (stopped / "report.html").read_text()
    assert (stopped / "map.mrc").exists()


def test_nothing_is_made_of_nothing(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = JobFolder.create(images / "nothing", verb="refine", config={"seed": 0})
    with pytest.raises(SystemExit):
        main(["resume", str(job.path), "--finish-now"])
    assert "nothing is done yet" in capsys.readouterr().err


def test_a_job_without_maps_before_its_end_is_not_finished_early(
    images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = JobFolder.create(images / "reconstruct_early", verb="reconstruct", config={"seed": 0})
    job.save_checkpoint({})
    with pytest.raises(SystemExit):
        main(["resume", str(job.path), "--finish-now"])
    assert "has no maps before its end" in capsys.readouterr().err


def test_only_work_that_can_be_shared_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["inspect", "particles.star", "--processes", "2"])
    assert end.value.code == 2
    assert "--processes" in capsys.readouterr().err
    for verb in SHARING:
        require_sharing(verb, 3)
    require_sharing("inspect", 1)
    with pytest.raises(InputError, match="--processes is 0"):
        require_sharing("refine", 0)
