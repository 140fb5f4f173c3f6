"""Verbs that make jobs: from the typed line to the folder, stopped, resumed, failed."""

import signal
from pathlib import Path

import pytest
import toy_recipe
from test_main import run

from cryorbit.api import recipe_table
from cryorbit.cli import jobs
from cryorbit.io.job_folder import JobFolder


@pytest.fixture
def star(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An input file; the verb abinit runs the toy recipe."""
    monkeypatch.setattr(recipe_table, "CONFIGS", {"abinit": f"{toy_recipe.__name__}:AbinitConfig"})
    file = tmp_path / "particles.star"
    file.write_text("data_particles\n")
    return file


def write_config(folder: Path, text: str) -> Path:
    file = folder / "settings.toml"
    file.write_text(text)
    return file


def total(folder: Path) -> float:
    return float(JobFolder.open(folder).read()["result"]["total"])


def test_a_job_leaves_record_report_and_summary(star: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "job"
    assert run("abinit", star, "-o", folder, "--classes", "2", "--seed", "5", "--no-invert", "--device", "cpu") == 0
    record = JobFolder.open(folder).read()
    assert record["status"] == "finished"
    assert record["config"]["classes"] == 2
    assert record["config"]["invert_contrast"] is False
    assert record["config"]["particles"] == str(star)
    assert record["seed"] == 5
    assert (folder / "report.html").is_file()
    captured = capsys.readouterr()
    assert "counting 6/6  15.0 A  logL -1.50  ESS 3.0" in captured.err
    assert "counted" in captured.err
    assert "The sum is trustworthy." in captured.out
    assert "class_1.mrc" in captured.out
    assert str(folder / "report.html") in captured.out
    assert "counted" in (folder / "log.txt").read_text()


def test_what_is_typed_wins_over_the_file_and_the_file_over_defaults(star: Path, tmp_path: Path) -> None:
    settings = write_config(tmp_path, "classes = 3\nmax_resolution = 20\niterations = 2\n[schedule]\nstep = 0.5\n")
    assert run("abinit", star, "-o", tmp_path / "job", "--config", settings, "--classes", "4") == 0
    config = JobFolder.open(tmp_path / "job").read()["config"]
    assert config["classes"] == 4
    assert config["max_resolution"] == 20.0
    assert config["schedule"] == {"step": 0.5}
    assert config["symmetry"] == "C1"


def test_ctrl_c_saves_and_resume_gives_the_same_result(
    star: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = write_config(tmp_path, "interrupt_at = 2\n")
    stopped, straight = tmp_path / "stopped", tmp_path / "straight"
    handler = signal.getsignal(signal.SIGINT)
    assert run("abinit", star, "-o", stopped, "--config", settings) == jobs.EXIT_STOPPED
    assert signal.getsignal(signal.SIGINT) is handler
    assert f"cryorbit resume {stopped}" in capsys.readouterr().err
    job = JobFolder.open(stopped)
    assert job.read()["status"] == "stopped"
    assert job.metrics_count() == 3
    assert run("resume", stopped) == 0
    assert job.read()["status"] == "finished"
    assert [entry["iteration"] for entry in job.read_metrics()] == list(range(6))
    assert run("abinit", star, "-o", straight) == 0
    assert total(stopped) == total(straight)


def test_a_job_that_was_killed_resumes_from_its_checkpoint(star: Path, tmp_path: Path) -> None:
    folder = tmp_path / "job"
    settings = write_config(tmp_path, "interrupt_at = 3\n")
    run("abinit", star, "-o", folder, "--config", settings)
    job = JobFolder.open(folder)
    job.record(status="running")
    job.write_metrics({"iteration": 4, "after": "the checkpoint"})
    assert run("resume", folder) == 0
    assert [entry["iteration"] for entry in job.read_metrics()] == list(range(6))


def test_a_moved_job_resumes_where_it_is(star: Path, tmp_path: Path) -> None:
    settings = write_config(tmp_path, "interrupt_at = 1\n")
    run("abinit", star, "-o", tmp_path / "job", "--config", settings)
    (tmp_path / "job").rename(tmp_path / "moved")
    assert run("resume", tmp_path / "moved") == 0
    assert not (tmp_path / "job").exists()


def test_resume_refuses_what_cannot_go_on(star: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "job"
    run("abinit", star, "-o", folder)
    assert run("resume", folder) == 2
    assert "this job is finished" in capsys.readouterr().err
    JobFolder.open(folder).record(status="stopped")
    star.write_text("data_other\n")
    assert run("resume", folder) == 2
    assert "has changed" in capsys.readouterr().err
    JobFolder.open(folder).record(verb="compare")
    assert run("resume", folder) == 2
    assert "cannot be resumed" in capsys.readouterr().err


def test_a_second_job_does_not_touch_the_first(star: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "job"
    run("abinit", star, "-o", folder)
    before = (folder / "job.json").read_bytes()
    assert run("abinit", star, "-o", folder) == 2
    assert "already holds a job" in capsys.readouterr().err
    assert (folder / "job.json").read_bytes() == before


def test_bad_input_is_told_and_the_same_command_works_once_mended(
    star: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "job"
    bad = write_config(tmp_path, "fail_at = 0\n")
    assert run("abinit", star, "-o", folder, "--config", bad) == 2
    assert "error: x.star, row 0: a bad row" in capsys.readouterr().err
    assert JobFolder.open(folder).read()["status"] == "failed"
    good = write_config(tmp_path, "fail_at = 99\n")
    assert run("abinit", star, "-o", folder, "--config", good) == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("max_resolutoin = 9\n", ["settings.toml", "'max_resolutoin'", "did you mean 'max_resolution'?"]),
        ("[schedule]\nstp = 1\n", ["settings.toml", "'schedule.stp'", "did you mean 'step'?"]),
        ("zzz = 1\n", ["settings.toml", "'zzz'", "the keys here are", "symmetry"]),
        ("classes = 'many'\n", ["settings.toml", "'classes'", "must be a whole number"]),
        ("classes = 0\n", ["settings.toml", "'classes'", "must be at least 1"]),
        ("[schedule]\nstep = -1\n", ["settings.toml", "'schedule.step'", "must be above 0"]),
        ("classes = \n", ["settings.toml", "not valid TOML", "line 1"]),
        (b"\xff\xfe\x00", ["settings.toml", "not valid TOML"]),
    ],
)
def test_bad_settings_are_named(
    star: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: str | bytes, words: list[str]
) -> None:
    file = tmp_path / "settings.toml"
    file.write_bytes(settings if isinstance(settings, bytes) else settings.encode())
    assert run("abinit", star, "-o", tmp_path / "job", "--config", file) == 2
    error = capsys.readouterr().err
    for word in words:
        assert word in error
    assert not (tmp_path / "job").exists()


def test_a_bad_typed_value_does_not_blame_the_file(
    star: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = write_config(tmp_path, "seed = 1\n")
    assert run("abinit", star, "-o", tmp_path / "job", "--config", settings, "--classes", "0") == 2
    error = capsys.readouterr().err
    assert "'classes'" in error
    assert "settings.toml" not in error


@pytest.mark.parametrize("name", ["quantum", "cuda:999"])
def test_a_device_that_is_not_there_is_named(
    star: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert run("abinit", star, "-o", tmp_path / "job", "--device", name) == 2
    assert repr(name) in capsys.readouterr().err


def test_a_missing_settings_file_is_named(star: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("abinit", star, "-o", tmp_path / "job", "--config", tmp_path / "none.toml") == 2
    assert "none.toml: cannot be read" in capsys.readouterr().err
