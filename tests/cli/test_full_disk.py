"""Limits of the machine, real ones: files that may not grow, a folder that goes, memory that ends."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cryorbit.io.job_folder import JobFolder
from small_sets import blob_images, write_star_set

COMMAND = [sys.executable, "-c", "from cryorbit.cli.main import main; main()"]
LIMITED = {**os.environ, "OMP_NUM_THREADS": "1"}


def run_limited(folder: Path, limit: Callable[[], None], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder under a limit of the system."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        preexec_fn=limit,
        env=LIMITED,
        capture_output=True,
        text=True,
        check=False,
    )


def largest_file(count: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (count, count))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_star_set(tmp_path, blob_images(60, np.random.default_rng(3)))
    return tmp_path


def test_a_file_that_may_not_grow_is_named_and_the_job_goes_on(project: Path) -> None:
    done = run_limited(project, largest_file(12_000), "reconstruct", "particles.star", "-o", "job", "-q")
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert f"{project}/job/map.mrc: File too large" in done.stderr
    assert "cryorbit resume" in done.stderr
    assert not list((project / "job").rglob(".*.*"))
    resumed = run_limited(project, lambda: None, "resume", "job", "-q")
    assert resumed.returncode == 0, resumed.stderr
    assert JobFolder.open(project / "job").read()["status"] == "finished"


def test_memory_that_ends_while_libraries_load_is_told(project: Path) -> None:
    def little() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (400 * 2**20, 400 * 2**20))

    done = run_limited(project, little, "reconstruct", "particles.star", "-o", "job", "-q")
    assert done.returncode == 2, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    assert "out of memory" in done.stderr


def test_a_folder_that_goes_while_a_job_works_is_told(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cryorbit.cli.main import main
    from cryorbit.recipes import reconstruct

    write = reconstruct.write_particles

    def write_and_lose(*given: object, **named: object) -> None:
        write(*given, **named)
        shutil.rmtree(project / "job")

    monkeypatch.setattr(reconstruct, "write_particles", write_and_lose)
    monkeypatch.chdir(project)
    with pytest.raises(SystemExit) as end:
        main(["reconstruct", "particles.star", "-o", "job", "-q"])
    assert end.value.code == 2
    assert "job" in capsys.readouterr().err
