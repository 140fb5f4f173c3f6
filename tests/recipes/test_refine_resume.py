"""Refinements killed without warning or stopped on request: resumed, they end with the bytes of the undisturbed job."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from abinit_jobs import make_set
from refine_jobs import refined
from test_abinit import StopsAfter
from test_abinit_resume import (
    DIE,
    DIE_BEFORE_CHECKPOINT,
    DIE_WITHIN_CHECKPOINT,
    as_toml,
    cryorbit,
    without_seconds,
)

from cryorbit.core.progress import Stopped
from cryorbit.io.job_folder import JobFolder
from phantom_sets import sharp_phantom

pytestmark = pytest.mark.slow

SHORTEST: dict[str, Any] = {
    "diameter": 100.0,
    "check_start": False,
    "method": "psgd",
    "max_resolution": 20.0,
    "sgd": {"iterations": 2, "batch": 20, "patience": 9, "ambiguous": 0.0},
    "passes": {"iterations": 2, "patience": 9},
    "poses": {"cells": 2, "angular_spacing": 30.0, "check_images": 10},
    "late": {"method": "sem-vr-statistics", "epochs": 1, "batches": 2},
}
STAGES = ["sgd", "sgd", "pass", "pass", "late", "final"]
DIE_WITHIN_OUTPUTS = (
    DIE
    + """
from cryorbit.recipes.refine import outputs
outputs.write_particle_files  # what is not there cannot die
outputs.write_particle_files = die
"""
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Particles, a start map, and settings under which a job goes through all stages."""
    folder = tmp_path_factory.mktemp("refine_resume")
    make_set(folder, [sharp_phantom(torch.Generator().manual_seed(3))], 60, 0.5)
    settings = {key: str(value).lower() if isinstance(value, bool) else value for key, value in SHORTEST.items()}
    late = {**SHORTEST["late"], "method": '"sem-vr-statistics"'}
    (folder / "settings.toml").write_text(as_toml({**settings, "method": '"psgd"', "late": late}))
    return folder


@pytest.fixture(scope="module")
def straight(folder: Path) -> Path:
    """A job nobody disturbed."""
    assert cryorbit(*start_arguments(folder, "straight")) == 0
    job = JobFolder.open(folder / "straight")
    assert [line["stage"] for line in job.read_metrics()] == STAGES
    assert (job.path / "report.html").exists()
    return job.path


def start_arguments(folder: Path, name: str) -> tuple[str | Path, ...]:
    settings = ("--config", folder / "settings.toml", "--device", "cpu", "--threads", "1")
    return ("refine", folder / "particles.star", "--map", folder / "truth_1.mrc", "-o", folder / name, *settings)


def assert_same_results(job: Path, straight: Path) -> None:
    for name in ("map.mrc", "map_half1_unfil.mrc", "map_half2_unfil.mrc", "mask.mrc", "particles.star", "noise.csv"):
        assert (job / name).read_bytes() == (straight / name).read_bytes(), name
    records = [JobFolder.open(path) for path in (job, straight)]
    assert records[0].read()["status"] == "finished"
    assert records[0].read()["result"] == records[1].read()["result"]
    ours, theirs = (record.read_metrics() for record in records)
    assert [without_seconds(line) for line in ours] == [without_seconds(line) for line in theirs]


def test_killed_at_every_bad_moment(folder: Path, straight: Path) -> None:
    """Before the first checkpoint, within the second, between metrics and checkpoint of the fourth, in the outputs."""
    killed = folder / "killed"
    assert cryorbit(*start_arguments(folder, "killed"), before=DIE_BEFORE_CHECKPOINT.format(1)) == -signal.SIGKILL
    assert not (killed / "map.mrc").exists()
    for before in (DIE_WITHIN_CHECKPOINT.format(2), DIE_BEFORE_CHECKPOINT.format(3), DIE_WITHIN_OUTPUTS):
        assert cryorbit("resume", killed, "--threads", "1", before=before) == -signal.SIGKILL
        assert JobFolder.open(killed).read()["status"] == "running"
    assert not (killed / "particles.star").exists()
    assert cryorbit("resume", killed, "--threads", "1") == 0
    assert_same_results(killed, straight)


def test_stopped_after_every_iteration(folder: Path, tmp_path: Path) -> None:
    particles, start = folder / "particles.star", folder / "truth_1.mrc"
    straight, expected = refined(particles, start, tmp_path / "straight", **SHORTEST)
    stopped = tmp_path / "stopped"
    for _ in STAGES[:-1]:
        with pytest.raises(Stopped):
            refined(particles, start, stopped, StopsAfter(1), **SHORTEST)
        assert JobFolder.open(stopped).read()["status"] == "stopped"
    job, result = refined(particles, start, stopped, StopsAfter(1), **SHORTEST)
    assert result == expected
    assert_same_results(job.path, straight.path)
