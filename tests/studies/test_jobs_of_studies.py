"""A study is a job: killed or stopped at any time it is resumed, and ends with the same bytes."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cryorbit.api.job import open_job
from cryorbit.cli.main import main
from cryorbit.io.job_folder import JobFolder
from cryorbit.report.page import write_report
from cryorbit.studies import bench
from cryorbit.studies.kept import Kept, keep

TINY = "images = 40\nheld_out = 10\nradius = 2.5\npasses = 2.0\n"
DYING = """
import os, signal, sys
from cryorbit.cli.main import main
from cryorbit.studies import bench

keep, parts = bench.keep, []

def keep_and_die(*given):
    parts.append(keep(*given))
    if len(parts) == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return parts[-1]

bench.keep = keep_and_die
main(sys.argv[2:])
"""


def run(*arguments: object) -> int:
    """Run the command; returns its exit code."""
    try:
        main([str(each) for each in arguments])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def reproduce(folder: Path, *options: str) -> list[str]:
    """A command that needs a few seconds: variance reduction on volumes, in tiny."""
    file = folder.with_name("tiny.toml")
    file.write_text(TINY)
    return ["reproduce", "paul2024_volumes", "-o", str(folder), "--threads", "1", "--config", str(file), *options]


def written(folder: Path) -> dict[str, bytes]:
    """Tables and figures of a study."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix in (".csv", ".md", ".png")}


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study without any interruption."""
    folder = tmp_path_factory.mktemp("straight") / "job"
    assert run(*reproduce(folder)) == 0
    return folder


def test_a_finished_study_is_a_job_with_all_on_its_page(straight: Path) -> None:
    job = open_job(straight)
    assert job.status == "finished"
    assert job.record["verb"] == "reproduce paul2024_volumes"
    assert (job.record["config"]["images"], job.record["config"]["looks"]) == (40, 1)
    assert set(job.result["files"]) == set(written(straight))
    page = job.report.read_text()
    assert "Variance reduction on volumes" in page
    assert "<th>seeds</th><th>spread</th>" in page
    assert "Parts done: 9" in page
    assert "<td>SVRG, preconditioned 0</td>" in page
    assert "<dt>parts</dt><dd>9</dd>" in page
    assert page.count("data:image/png;base64,") == 1
    assert not re.search("https?:", page)


def test_the_same_command_does_not_touch_a_job_that_is_there(
    straight: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = written(straight)
    assert run(*reproduce(straight)) == 2
    assert f"cryorbit resume {straight}" in capsys.readouterr().err
    assert written(straight) == before


def listed_state(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What `cryorbit jobs` says of a job."""
    capsys.readouterr()
    assert run("jobs", folder, "--json") == 0
    return str(json.loads(capsys.readouterr().out)["state"])


def test_killed_after_a_part_it_goes_on_to_the_same_bytes(
    straight: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "job"
    killed = subprocess.run([sys.executable, "-c", DYING, "4", *reproduce(folder, "--quiet")], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list((folder / "checkpoint").glob("kept_*.pt"))) == 4
    kept = {file: file.stat().st_mtime_ns for file in (folder / "checkpoint").glob("kept_*.pt")}
    assert open_job(folder).status == "running"
    assert listed_state(folder, capsys) == "killed"
    assert run("resume", folder, "--quiet") == 0
    assert written(folder) == written(straight)
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    assert open_job(folder).record["killed"] == 1
    parts = [line["part"] for line in JobFolder.open(folder).read_metrics()]
    assert parts == [line["part"] for line in JobFolder.open(straight).read_metrics()]


def test_a_stopped_study_says_so_and_goes_on(
    straight: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, made = tmp_path / "job", list[str]()

    def keep_and_signal(place: Path, name: str, *given: object) -> Kept:
        made.append(name)
        if len(made) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return keep(place, name, *given)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(bench, "keep", keep_and_signal)
        assert run(*reproduce(folder)) == 130
    assert f"cryorbit resume {folder}" in capsys.readouterr().err
    job = open_job(folder)
    assert job.status == listed_state(folder, capsys) == "stopped"
    assert len(JobFolder.open(folder).read_metrics()) == 2
    page = job.report.read_text()
    assert "This job is stopped" in page
    # the tables of what is done so far are there
    assert "<td>SGD</td>" in page
    assert run("resume", folder) == 0
    assert written(folder) == written(straight)
    # what only a resumed job needs can be removed then
    assert listed_state(folder, capsys) == "finished"
    assert run("clean", folder) == 0
    assert list((folder / "checkpoint").glob("kept_*")) == []
    assert run("show", folder) == 0
    assert str(folder / "report.html") in capsys.readouterr().out
    assert written(folder) == written(straight)


def test_settings_that_were_changed_in_the_record_are_not_resumed(
    straight: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    text = (straight / "job.json").read_text()
    (folder / "job.json").write_text(text.replace('"finished"', '"stopped"').replace('"images": 40', '"images": 50'))
    assert run("resume", folder) == 2
    assert "the settings are not those that the job began with" in capsys.readouterr().err


def test_the_page_of_a_study_that_has_just_begun(tmp_path: Path) -> None:
    JobFolder.create(tmp_path / "job", verb="reproduce toader2023", config={"seed": 0})
    page = write_report(tmp_path / "job").read_text()
    assert "No part is done yet." in page
    assert "Toader, Brubaker &amp; Lederman 2025" in page


@pytest.mark.slow
def test_a_real_quick_study_is_killed_twice_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    ends = []
    for name, deaths in (("straight", ()), ("killed", (2, 3))):
        folder = tmp_path / name
        command = ["reproduce", "paul2024_volumes", "-o", str(folder), "--quick", "--quiet", "--threads", "1"]
        for death in deaths:
            dying = subprocess.run([sys.executable, "-c", DYING, str(death), *command], check=False)
            assert dying.returncode == -signal.SIGKILL
            command = ["resume", str(folder), "--quiet"]
        assert run(*command) == 0
        ends.append(written(folder))
    assert ends[0] == ends[1]
    assert open_job(tmp_path / "killed").record["killed"] == 2
