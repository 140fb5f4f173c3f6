"""Finding one's way between jobs: they are listed, shown again, opened and cleaned."""

import json
import subprocess
import sys
import webbrowser
from pathlib import Path

import pytest

from cryorbit.cli.main import main
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_run import running
from cryorbit.io.job_search import find_jobs, state_of

GOOD = {"level": "good", "sentence": "Half-maps agree to 8.1 Å.", "reasons": []}
HOLDING = """
import sys, time
from cryorbit.io.job_folder import JobFolder
with JobFolder.open(sys.argv[1]).locked():
    print("held", flush=True)
    time.sleep(60)
"""


def finished_job(folder: Path, verb: str = "refine") -> JobFolder:
    """A finished job with a map, a verdict and a checkpoint."""
    job = JobFolder.create(folder, verb=verb, config={"seed": 0})
    with running(job):
        job.save_checkpoint({"state": [1, 2, 3]})
        entry = {"name": "class 1", "map": "map.mrc", "resolution_A": 9.5, "resolution_masked_A": 8.1}
        job.record(result={"classes": [entry], "verdict": GOOD})
    job.record(timings={"seconds": 75.0, "started": f"2026-01-01T00:00:{len(folder.name):02d}+00:00"})
    return job


def killed_job(folder: Path) -> JobFolder:
    """A job whose record says that it is running, at which nobody works."""
    job = JobFolder.create(folder, verb="abinit", config={"seed": 0})
    job.record(status="running")
    job.save_checkpoint({"state": 1})
    return job


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two jobs at two depths, one of them with a stage, one that was killed, and a damaged one."""
    finished_job(tmp_path / "one")
    stage = {"title": "Refinement", "verb": "refine", "folder": "refine"}
    finished_job(tmp_path / "below" / "two", "run").record(result={"stages": [stage]})
    finished_job(tmp_path / "below" / "two" / "refine")
    killed_job(tmp_path / "lost")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "job.json").write_text("{")
    return tmp_path


def listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    main(["jobs", str(folder), "--json"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {row["job"]: row for row in rows}


def test_jobs_are_found_and_stages_of_jobs_are_not(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = listed(project, capsys)
    assert set(rows) == {"one", "below/two", "lost", "broken"}
    one = rows["one"]
    assert (one["verb"], one["state"], one["verdict"]) == ("refine", "finished", "good")
    assert (one["resolution_A"], one["seconds"]) == (8.1, 75.0)
    assert rows["lost"]["state"] == "killed"
    assert rows["broken"]["state"] == "damaged"


def test_the_table_has_a_line_a_job(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["jobs", str(project)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    (one,) = [line for line in lines if line.rstrip().endswith("one")]
    assert one.split() == ["refine", "finished", "good", "8.1", "Å", "1", "min", "15", "s", "one"]


def test_a_job_at_work_is_not_killed(tmp_path: Path) -> None:
    job = killed_job(tmp_path / "job")
    assert state_of(job) == "killed"
    with subprocess.Popen([sys.executable, "-c", HOLDING, str(job.path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert state_of(job) == "running"
        holder.kill()


def test_no_jobs_is_an_error_that_names_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("jobs", "clean"):
        with pytest.raises(SystemExit):
            main([verb, str(tmp_path)])
        assert str(tmp_path) in capsys.readouterr().err


def test_the_summary_is_shown_again(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["show", str(project / "one")])
    text = capsys.readouterr().out
    assert "refine · finished · 2026-01-01 00:00 · 1 min 15 s" in text
    assert GOOD["sentence"] in text
    main(["show", str(project / "lost")])
    assert f"cryorbit resume {project / 'lost'}" in capsys.readouterr().out


def test_the_report_is_opened(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: bool(opened.append(address)) or len(opened) == 1)
    with pytest.raises(SystemExit):
        main(["open", str(project / "one")])
    assert "no report yet" in capsys.readouterr().err
    page = project / "one" / "report.html"
    page.write_text("<html></html>")
    main(["open", str(project / "one")])
    assert opened == [page.as_uri()]
    assert "opened" in capsys.readouterr().out
    main(["open", str(project / "one")])
    assert "no browser here" in capsys.readouterr().out


def test_a_job_without_a_report_is_sent_to_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = finished_job(tmp_path / "simulated", "simulate").path
    with pytest.raises(SystemExit):
        main(["open", str(job)])
    assert f"cryorbit show {job}" in capsys.readouterr().err
    main(["show", str(job)])
    assert "report.html" not in capsys.readouterr().out


def test_only_checkpoints_of_finished_jobs_go(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file for file in project.rglob("*") if file.is_file()}
    main(["clean", str(project / "below"), "--dry-run"])
    assert {file for file in project.rglob("*") if file.is_file()} == before
    assert "to be freed" in capsys.readouterr().out
    for job in ("one", "below"):
        main(["clean", str(project / job)])
    gone = before - {file for file in project.rglob("*") if file.is_file()}
    assert gone == {project / place / "checkpoint" / "state.pt" for place in ("one", "below/two", "below/two/refine")}
    with pytest.raises(SystemExit):
        main(["clean", str(project / "lost")])
    assert "cryorbit resume" in capsys.readouterr().err
    assert len(list(find_jobs(project))) == 4


def test_jobs_that_are_not_finished_are_left_and_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "broken" / "job.json").unlink()
    main(["clean", str(project)])
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "left as it is, the job is running" in line and "lost" in line]
    assert (project / "lost" / "checkpoint" / "state.pt").exists()


def test_a_job_that_somebody_began_in_the_folder_of_another_is_a_job_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished_job(tmp_path / "simulated", "simulate")
    within = killed_job(tmp_path / "simulated" / "refined")
    assert set(listed(tmp_path, capsys)) == {"simulated", "simulated/refined"}
    main(["clean", str(tmp_path)])
    assert within.load_checkpoint() == {"state": 1}
    assert not (tmp_path / "simulated" / "checkpoint" / "state.pt").exists()


def test_cleaning_follows_no_link_and_no_stage_that_leads_elsewhere(tmp_path: Path) -> None:
    kept = tmp_path / "elsewhere" / "checkpoint"
    kept.mkdir(parents=True)
    (kept / "state.pt").write_bytes(b"kept")
    job = finished_job(tmp_path / "job")
    job.record(result={"stages": [{"title": "Refinement", "verb": "refine", "folder": "../elsewhere"}]})
    (job.path / "checkpoint" / "scratch").symlink_to(kept)
    main(["clean", str(job.path)])
    assert (kept / "state.pt").exists()
    assert not (job.path / "checkpoint" / "scratch").is_symlink()


def test_records_with_times_that_are_none_are_damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished_job(tmp_path / "one")
    other = finished_job(tmp_path / "two").path / "job.json"
    other.write_text(other.read_text().replace('"started": "2026-01-01T00:00:03+00:00"', '"started": 5'))
    assert listed(tmp_path, capsys)["two"]["state"] == "damaged"


def test_a_file_in_place_of_a_job_is_no_job(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "particles.star").write_text("")
    with pytest.raises(SystemExit):
        main(["show", str(tmp_path / "particles.star")])
    assert "holds no job" in capsys.readouterr().err
