"""Jobs killed without warning: resumed, they end with the bytes of the undisturbed job."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from abinit_jobs import SHORTEST, make_set

from cryorbit.io.job_folder import JobFolder
from phantom_sets import sharp_phantom

pytestmark = pytest.mark.slow

RUN = """
import sys
from cryorbit.cli.main import main
main(sys.argv[1:])
"""
DIE = """
import os, signal
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
"""
DIE_BEFORE_CHECKPOINT = (
    DIE
    + """
from cryorbit.io.job_folder import JobFolder
save, left = JobFolder.save_checkpoint, [{0}]
def save_or_die(self, state):
    left[0] -= 1
    save(self, state) if left[0] else die()
JobFolder.save_checkpoint = save_or_die
"""
)
DIE_WITHIN_CHECKPOINT = (
    DIE
    + """
import torch
save, left = torch.save, [{0}]
def save_or_die(state, file):
    left[0] -= 1
    if left[0]:
        return save(state, file)
    file.write_bytes(b"half a checkpoint")
    die()
torch.save = save_or_die
"""
)
DIE_WITHIN_OUTPUTS = (
    DIE
    + """
from cryorbit.recipes.abinit import outputs
outputs.write_particle_files  # what is not there cannot die
outputs.write_particle_files = die
"""
)
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


def command(*arguments: str | Path, before: str = "") -> list[str]:
    return [sys.executable, "-c", before + RUN, *map(str, arguments)]


def cryorbit(*arguments: str | Path, before: str = "") -> int:
    """Exit code of the command, run in a process of its own after the code ``before``."""
    process = subprocess.run(command(*arguments, before=before), env=ENVIRONMENT, capture_output=True, text=True)
    assert process.returncode in (0, -signal.SIGKILL), process.stderr
    return process.returncode


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Particles, and settings under which a job goes through all stages twice."""
    folder = tmp_path_factory.mktemp("resume")
    generator = torch.Generator().manual_seed(3)
    make_set(folder, [sharp_phantom(generator), sharp_phantom(generator)], 150, 0.5)
    (folder / "settings.toml").write_text(as_toml({"classes": 2, "seeds": 2, **SHORTEST}))
    return folder


def as_toml(settings: dict[str, Any]) -> str:
    plain = [f"{key} = {value}" for key, value in settings.items() if not isinstance(value, dict)]
    groups = [f"[{key}]\n{as_toml(value)}" for key, value in settings.items() if isinstance(value, dict)]
    return "\n".join(plain + groups)


def start_arguments(folder: Path, name: str) -> tuple[str | Path, ...]:
    settings = ("--config", folder / "settings.toml", "--device", "cpu", "--threads", "1")
    return ("abinit", folder / "particles.star", "-o", folder / name, *settings)


@pytest.fixture(scope="module")
def straight(folder: Path) -> Path:
    """A job nobody disturbed."""
    assert cryorbit(*start_arguments(folder, "straight")) == 0
    return folder / "straight"


def assert_same_results(job: Path, straight: Path) -> None:
    for name in ("class_1.mrc", "class_2.mrc", "class_1_half2_unfil.mrc", "mask_2.mrc", "particles.star"):
        assert (job / name).read_bytes() == (straight / name).read_bytes(), name
    assert json.loads((job / "seeds.json").read_text()) == json.loads((straight / "seeds.json").read_text())
    records = [JobFolder.open(path) for path in (job, straight)]
    assert records[0].read()["status"] == "finished"
    assert records[0].read()["result"] == records[1].read()["result"]
    ours, theirs = (record.read_metrics() for record in records)
    assert [without_seconds(line) for line in ours] == [without_seconds(line) for line in theirs]


def without_seconds(line: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key not in ("seconds", "cpu_seconds")}


def test_killed_at_every_bad_moment(folder: Path, straight: Path) -> None:
    """Before the first checkpoint, between metrics and checkpoint, within one, within the outputs."""
    killed = folder / "killed"
    iterations = len(JobFolder.open(straight).read_metrics())
    assert iterations > 15
    assert cryorbit(*start_arguments(folder, "killed"), before=DIE_BEFORE_CHECKPOINT.format(1)) == -signal.SIGKILL
    for before in (
        DIE_WITHIN_CHECKPOINT.format(3),
        DIE_BEFORE_CHECKPOINT.format(4),
        DIE_WITHIN_CHECKPOINT.format(5),
        DIE_WITHIN_OUTPUTS,
    ):
        assert cryorbit("resume", killed, "--threads", "1", before=before) == -signal.SIGKILL
        assert JobFolder.open(killed).read()["status"] == "running"
    assert (killed / "class_1.mrc").exists()
    assert not (killed / "particles.star").exists()
    assert cryorbit("resume", killed, "--threads", "1") == 0
    assert_same_results(killed, straight)


def test_killed_out_of_the_blue(folder: Path, straight: Path) -> None:
    """By another process, at whatever it is doing after a third of its iterations."""
    killed = folder / "surprised"
    metrics = killed / "metrics.jsonl"
    wanted = len(JobFolder.open(straight).read_metrics()) // 3
    with subprocess.Popen(
        command(*start_arguments(folder, "surprised")), env=ENVIRONMENT, stderr=subprocess.DEVNULL
    ) as process:
        while not metrics.exists() or len(metrics.read_text().splitlines()) < wanted:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert cryorbit("resume", killed, "--threads", "1") == 0
    assert_same_results(killed, straight)
