"""Verbs that make jobs: from the typed line to the folder, stopped, resumed, failed."""

import errno
import json
import signal
from pathlib import Path

import pytest
import toy_recipe
from test_main import run

from cryorbit.api import recipe_table
from cryorbit.cli import job_work
from cryorbit.io.job_folder import JobFolder
from cryorbit.report import page


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
    assert "counting 6/6  15.0 Å  logL -1.50  ESS 3.0" in captured.err
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
    assert run("abinit", star, "-o", stopped, "--config", settings) == job_work.EXIT_STOPPED
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


def test_a_report_that_was_lost_is_written_by_resume(
    star: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "job"
    run("abinit", star, "-o", folder)
    before = total(folder)
    for status in ("finished", "reporting"):
        (folder / "report.html").unlink()
        JobFolder.open(folder).record(status=status)
        # neither is it computed again, nor are its inputs needed
        star.unlink(missing_ok=True)
        assert run("resume", folder) == 0
        assert "The sum is trustworthy." in capsys.readouterr().out
        assert "<dd>finished</dd>" in (folder / "report.html").read_text()
        assert JobFolder.open(folder).read()["status"] == "finished"
    assert total(folder) == before
    assert run("resume", folder) == 2


def test_a_job_whose_report_cannot_be_written_is_not_finished(
    star: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "job" / "report.html"))

    with monkeypatch.context() as patch:
        patch.setattr(page, "write_report", full)
        assert run("abinit", star, "-o", tmp_path / "job") == 2
    assert "report.html: No space left on device" in capsys.readouterr().err
    assert JobFolder.open(tmp_path / "job").read()["status"] == "reporting"
    assert run("resume", tmp_path / "job") == 0
    assert JobFolder.open(tmp_path / "job").read()["status"] == "finished"


def test_a_project_that_was_moved_goes_on(star: Path, tmp_path: Path) -> None:
    project, straight = tmp_path / "project", tmp_path / "straight"
    project.mkdir()
    star = star.rename(project / "particles.star")
    settings = write_config(tmp_path, "interrupt_at = 2\n")
    assert run("abinit", star, "-o", straight) == 0
    assert run("abinit", star, "-o", project / "jobs" / "a", "--config", settings) == job_work.EXIT_STOPPED
    moved = project.rename(tmp_path / "elsewhere")
    assert run("resume", moved / "jobs" / "a") == 0
    assert total(moved / "jobs" / "a") == total(straight)
    assert not project.exists()


def test_images_that_were_moved_are_named_to_resume(
    star: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = write_config(tmp_path, "interrupt_at = 2\n")
    run("abinit", star, "-o", tmp_path / "job", "--config", settings)
    seen = []
    monkeypatch.setattr(toy_recipe, "run", lambda config, *_: seen.append(config.data_dir))
    assert run("resume", tmp_path / "job", "--data-dir", tmp_path / "disk") == 0
    assert seen == [tmp_path / "disk"]


@pytest.mark.parametrize("status", ["stopped", "running", "reporting"])
def test_a_job_is_not_resumed_with_a_changed_seed(
    star: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], status: str
) -> None:
    folder = tmp_path / "job"
    run("abinit", star, "-o", folder, "--config", write_config(tmp_path, "interrupt_at = 2\n"))
    job = JobFolder.open(folder)
    checkpoint = (folder / "checkpoint" / "state.pt").read_bytes()
    job.record(status=status, config={"seed": 7})
    assert run("resume", folder) == 2
    error = capsys.readouterr().err
    assert "job.json: the settings are not those that the job began with" in error
    assert "put the old settings back" in error
    assert job.read()["status"] == status
    assert (folder / "checkpoint" / "state.pt").read_bytes() == checkpoint
    job.record(status="stopped", config={"seed": 0})
    assert run("resume", folder) == 0


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"verb": ["abinit"]}, "'verb'"),
        ({"config": "gone"}, "'config'"),
        ({"config": {"particles": 3}}, "'particles'"),
        ({"config": {"classes": "many"}}, "'classes'"),
        ({"config": {"surprise": 1}}, "unknown setting 'surprise'"),
        ({"inputs": [{"path": 3}]}, "'inputs.0.path'"),
        ({"inputs": {"path": "x"}}, "'inputs'"),
        ({"timings": {"seconds": "long"}}, "'timings.seconds'"),
        ({"killed": -1}, "'killed'"),
        ({"status": "asleep"}, "'status'"),
        ({"result": [1]}, "'result'"),
    ],
)
def test_a_damaged_record_is_told_with_its_file(
    star: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], entries: dict[str, object], words: str
) -> None:
    folder = tmp_path / "job"
    run("abinit", star, "-o", folder, "--config", write_config(tmp_path, "interrupt_at = 2\n"))
    record = json.loads((folder / "job.json").read_text())
    for name, value in entries.items():
        both = isinstance(value, dict) and isinstance(record[name], dict)
        record[name] = {**record[name], **value} if both else value
    (folder / "job.json").write_text(json.dumps(record))
    capsys.readouterr()
    assert run("resume", folder) == 2
    error = capsys.readouterr().err
    assert "job.json: " in error
    assert words in error


def test_damaged_metrics_do_not_spoil_a_sound_checkpoint(star: Path, tmp_path: Path) -> None:
    folder, straight = tmp_path / "job", tmp_path / "straight"
    run("abinit", star, "-o", folder, "--config", write_config(tmp_path, "interrupt_at = 3\n"))
    file = folder / "metrics.jsonl"
    lines = file.read_bytes().splitlines()
    file.write_bytes(b"\n".join([lines[0], b"{bad", b"\xff\xfe", b'{"iteration": NaN}', b"[1]", *lines[1:]]) + b"\n")
    assert run("resume", folder) == 0
    assert run("abinit", star, "-o", straight) == 0
    assert total(folder) == total(straight)
    assert "damaged lines are left out" in (folder / "log.txt").read_text()


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
