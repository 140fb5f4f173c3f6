"""Job folders: what a job leaves behind survives reopening, killing and being asked twice."""

import hashlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cryorbit import __version__
from cryorbit.core.errors import InputError
from cryorbit.core.progress import Stopped
from cryorbit.io import checkpoint
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_run import check_inputs, check_settings, running, write_missing_report


@pytest.fixture
def star(tmp_path: Path) -> Path:
    file = tmp_path / "particles.star"
    file.write_text("data_particles\n")
    return file


@pytest.fixture
def job(tmp_path: Path, star: Path) -> JobFolder:
    return JobFolder.create(tmp_path / "job", verb="abinit", config={"seed": 3, "classes": 1}, inputs=[star])


def test_record_names_what_the_result_came_from(job: JobFolder, star: Path) -> None:
    record = JobFolder.open(job.path).read()
    assert record["verb"] == "abinit"
    assert record["seed"] == 3
    assert record["config"] == {"seed": 3, "classes": 1}
    assert record["hardware"]["torch"] == torch.__version__
    assert record["hardware"]["cores"] >= 1
    (entry,) = record["inputs"]
    assert entry["path"] == str(star)
    assert entry["bytes"] == 15
    assert entry["sha256"] == hashlib.sha256(b"data_particles\n").hexdigest()


def test_a_folder_holds_one_job(job: JobFolder) -> None:
    with pytest.raises(InputError, match=r"already holds a job(.|\n)*cryorbit resume"):
        JobFolder.create(job.path, verb="abinit", config={})


def test_a_job_that_failed_at_once_gives_its_folder_back(job: JobFolder) -> None:
    job.write_metrics({"iteration": 0})
    with pytest.raises(InputError, match="bad row"), running(job):
        raise InputError("bad row")
    assert "Traceback" not in (job.path / "log.txt").read_text()
    again = JobFolder.create(job.path, verb="abinit", config={"seed": 4})
    assert again.read()["seed"] == 4
    assert again.metrics_count() == 0
    with pytest.raises(ValueError, match="later"), running(again):
        again.save_checkpoint({"iteration": 1})
        raise ValueError("later")
    with pytest.raises(InputError, match="already holds a job"):
        JobFolder.create(job.path, verb="abinit", config={})


def test_an_existing_folder_without_a_job_is_welcome(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    JobFolder.create(tmp_path, verb="demo", config={})
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.star: no such file"):
        JobFolder.create(tmp_path / "job", verb="abinit", config={}, inputs=[tmp_path / "nothing.star"])
    assert not (tmp_path / "job").exists()


def test_a_file_where_the_folder_should_be_is_named(star: Path) -> None:
    with pytest.raises(InputError, match="cannot make the folder"):
        JobFolder.create(star / "job", verb="abinit", config={})


@pytest.mark.parametrize("content", [None, "{", "[1]", "{}", '{"status": "running"}', '{"verb": "abinit"}'])
def test_open_refuses_what_is_no_job(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "job.json").write_text(content)
    with pytest.raises(InputError, match="fix"):
        JobFolder.open(tmp_path)


def test_record_merges_mappings_and_replaces_the_rest(job: JobFolder) -> None:
    job.record(timings={"prepare": 1.0}, result={"numbers": [1, 2]})
    job.record(timings={"solve": 2.0}, result={"numbers": [3]})
    record = job.read()
    assert record["timings"] == {"prepare": 1.0, "solve": 2.0}
    assert record["result"] == {"numbers": [3]}
    assert record["verb"] == "abinit"


def test_record_is_plain_json_whatever_comes(job: JobFolder) -> None:
    entries = {"a": torch.arange(2), "b": np.float32(0.5), "c": float("nan"), "d": Path("x"), "e": (np.inf, 1)}
    job.record(result=entries)
    text = (job.path / "job.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["result"] == {
        "a": [0, 1],
        "b": 0.5,
        "c": None,
        "d": "x",
        "e": [None, 1],
    }


def test_metrics_grow_line_by_line_and_are_cut_back(job: JobFolder) -> None:
    assert job.metrics_count() == 0
    for iteration in range(5):
        job.write_metrics({"iteration": iteration, "ess": torch.tensor(1.5)})
    assert job.metrics_count() == 5
    job.truncate_metrics(3)
    assert [entry["iteration"] for entry in job.read_metrics()] == [0, 1, 2]
    job.write_metrics({"iteration": 3})
    assert job.metrics_count() == 4


def test_a_metrics_line_that_was_cut_off_does_not_count(job: JobFolder) -> None:
    job.write_metrics({"iteration": 0})
    with (job.path / "metrics.jsonl").open("a") as stream:
        stream.write('{"iteration": 1, "ess')
    assert job.metrics_count() == 1
    job.truncate_metrics(1)
    job.write_metrics({"iteration": 1})
    assert [entry["iteration"] for entry in job.read_metrics()] == [0, 1]


def test_checkpoint_round_trip(job: JobFolder, generator: torch.Generator) -> None:
    assert job.load_checkpoint() is None
    state = {"volume": torch.randn(4, generator=generator), "rng": generator.get_state(), "iteration": 7}
    job.save_checkpoint(state)
    loaded = job.load_checkpoint()
    assert loaded is not None
    assert torch.equal(loaded["volume"], state["volume"])
    assert torch.equal(loaded["rng"], state["rng"])
    assert loaded["iteration"] == 7


@pytest.mark.parametrize("length", [0, 1, 10, 200, 900, -1])
def test_a_checkpoint_cut_short_is_named(job: JobFolder, length: int) -> None:
    job.save_checkpoint({"volume": torch.ones(100)})
    file = job.path / "checkpoint" / "state.pt"
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(InputError, match=r"state\.pt: the checkpoint is damaged"):
        job.load_checkpoint()


@pytest.mark.parametrize("content", [b"not a checkpoint", b"\x80\x02}q\x00.", b"PK\x03\x04" + bytes(60)])
def test_what_is_no_checkpoint_is_named(job: JobFolder, content: bytes) -> None:
    (job.path / "checkpoint" / "state.pt").write_bytes(content)
    with pytest.raises(InputError, match=r"state\.pt: the checkpoint is damaged"):
        job.load_checkpoint()


@pytest.mark.parametrize("content", [{}, [1], 7, {"volume": torch.full((3,), float("nan"))}])
def test_a_checkpoint_that_the_job_did_not_write_is_refused(job: JobFolder, content: object) -> None:
    torch.save(content, job.path / "checkpoint" / "state.pt")
    with pytest.raises(InputError, match=r"state\.pt: the checkpoint was written by another program"):
        job.load_checkpoint()


def test_the_checkpoint_of_another_job_is_refused(job: JobFolder, tmp_path: Path) -> None:
    other = JobFolder.create(tmp_path / "other", verb="abinit", config={})
    other.save_checkpoint({"iteration": 3})
    file = job.path / "checkpoint" / "state.pt"
    file.write_bytes((other.path / "checkpoint" / "state.pt").read_bytes())
    with pytest.raises(InputError, match=r"state\.pt: the checkpoint is that of another job"):
        job.load_checkpoint()


def test_a_checkpoint_of_another_layout_is_refused(job: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "LAYOUT", 0)
    job.save_checkpoint({"iteration": 3})
    monkeypatch.undo()
    with pytest.raises(InputError, match=rf"the checkpoint was written by version {__version__}"):
        job.load_checkpoint()


def test_one_bit_of_a_checkpoint_that_turned_is_noticed(job: JobFolder) -> None:
    job.save_checkpoint({"volume": torch.ones(1000)})
    file = job.path / "checkpoint" / "state.pt"
    sound = file.read_bytes()
    for place in range(0, len(sound), 97):
        file.write_bytes(sound[:place] + bytes([sound[place] ^ 4]) + sound[place + 1 :])
        with pytest.raises(InputError, match=r"state\.pt: the checkpoint"):
            job.load_checkpoint()
    file.write_bytes(sound)
    assert job.load_checkpoint() is not None


def test_a_failed_job_whose_parts_have_begun_keeps_its_folder(job: JobFolder) -> None:
    part = job.part_of(0)
    part.begin_part()
    part.save_checkpoint({"step": 3})
    job.record(status="failed")
    with pytest.raises(InputError, match="already holds a job"):
        JobFolder.create(job.path, verb="abinit", config={"seed": 9})
    job.remove_parts()
    JobFolder.create(job.path, verb="abinit", config={"seed": 9})


def test_two_commands_at_once_make_one_job(tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    first = JobFolder(tmp_path / "job")
    (tmp_path / "job" / "checkpoint").mkdir()
    with first.locked(), pytest.raises(InputError, match="another process"):
        JobFolder.create(tmp_path / "job", verb="abinit", config={})


def test_a_failed_write_leaves_the_old_file(job: JobFolder) -> None:
    with job.atomic("map.mrc") as file:
        file.write_text("old")
    with pytest.raises(ZeroDivisionError), job.atomic("map.mrc") as file:
        file.write_text("half of the n")
        _ = 1 / 0
    assert (job.path / "map.mrc").read_text() == "old"
    assert [file.name for file in job.path.glob(".map*")] == []


def test_the_record_tells_how_the_job_ended(job: JobFolder) -> None:
    with running(job):
        assert job.read()["status"] == "running"
        logging.getLogger("cryorbit").info("first stage")
    record = job.read()
    assert record["status"] == "finished"
    assert record["error"] is None
    assert record["timings"]["seconds"] >= 0
    assert "first stage" in (job.path / "log.txt").read_text()
    logging.getLogger("cryorbit").info("after")
    assert "after" not in (job.path / "log.txt").read_text()


@pytest.mark.parametrize(
    ("problem", "status"), [(Stopped, "stopped"), (KeyboardInterrupt, "stopped"), (ValueError, "failed")]
)
def test_a_job_that_does_not_finish_says_so(job: JobFolder, problem: type[BaseException], status: str) -> None:
    with pytest.raises(problem), running(job):
        raise problem("for a reason")
    record = job.read()
    assert record["status"] == status
    assert record["error"] == ("ValueError: for a reason" if status == "failed" else None)


def test_a_job_that_is_refused_to_finish_early_can_go_on(job: JobFolder) -> None:
    for finish_now, status in ((True, "stopped"), (False, "failed")):
        early = replace(job, finish_now=finish_now)
        with pytest.raises(InputError), running(early):
            raise InputError("no start has begun", fix="resume without --finish-now")
        assert job.read()["status"] == status
        assert (job.read()["error"] is None) is finish_now


def test_what_a_killed_process_had_begun_to_write_is_removed(job: JobFolder) -> None:
    parts = [job.path / ".map.123.part.mrc", job.path / "checkpoint" / ".state.123.part.pt"]
    for part in parts:
        part.write_text("half of it")
    (job.path / ".mine").write_text("mine")
    with running(job):
        assert not any(part.exists() for part in parts)
    assert (job.path / ".mine").read_text() == "mine"


def test_seconds_add_up_over_resumes(job: JobFolder) -> None:
    job.record(timings={"seconds": 100.0})
    with running(job):
        pass
    assert 100.0 <= job.read()["timings"]["seconds"] < 110.0


def test_a_job_that_was_killed_says_so_when_it_goes_on(job: JobFolder) -> None:
    with running(job):
        pass
    assert job.read()["killed"] == 0
    job.record(status="running")
    for _ in range(2):
        with running(job):
            pass
    assert job.read()["killed"] == 1


def test_two_processes_never_work_on_one_job(job: JobFolder) -> None:
    with running(job), pytest.raises(InputError, match="another process"), running(job):
        pytest.fail("the second must not get the lock")
    with running(job):
        pass


def test_changed_and_lost_inputs_are_noticed(job: JobFolder, star: Path) -> None:
    check_inputs(job)
    star.write_text("data_particlez\n")
    with pytest.raises(InputError, match="has changed"):
        check_inputs(job)
    star.unlink()
    with pytest.raises(InputError, match="is gone"):
        check_inputs(job)


@pytest.mark.parametrize(
    "entries",
    [{"config": {"seed": 4}}, {"config": {"memory": 2, "new": 1}}, {"seed": 4}, {"verb": "refine"}, {"inputs": []}],
    ids=str,
)
def test_changed_settings_are_noticed(job: JobFolder, entries: dict[str, Any]) -> None:
    job.record(status="stopped", result={"sentence": "some way to go"})
    check_settings(job)
    job.record(**entries)
    with pytest.raises(InputError, match=r"job\.json: the settings are not those that the job began with"):
        check_settings(job)


def test_where_and_how_fast_a_job_runs_may_change(job: JobFolder) -> None:
    job.record(config={"data_dir": "/elsewhere", "device": "cuda", "threads": 2, "memory": 3.0, "scratch": "/local"})
    check_settings(job)


def test_settings_without_their_seal_are_not_trusted(job: JobFolder) -> None:
    record = job.read()
    del record["seal"]
    (job.path / "job.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="not those that the job began with"):
        check_settings(job)


_WRITE_FOREVER = """
import sys, torch
from cryorbit.io.job_folder import JobFolder
job = JobFolder.open(sys.argv[1])
count = 0
while True:
    count += 1
    job.save_checkpoint({"count": count, "volume": torch.full((100_000,), float(count))})
    job.write_metrics({"iteration": count})
    job.record(result={"count": count})
"""


def test_a_job_killed_at_any_moment_can_be_read(job: JobFolder) -> None:
    process = subprocess.Popen([sys.executable, "-c", _WRITE_FOREVER, str(job.path)])
    deadline = time.monotonic() + 60
    while job.metrics_count() < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    state = job.load_checkpoint()
    assert state is not None
    assert state["count"] >= 3
    assert torch.equal(state["volume"], torch.full((100_000,), float(state["count"])))
    assert job.metrics_count() in (state["count"], state["count"] - 1)
    assert job.read()["result"]["count"] in (state["count"], state["count"] - 1)


def test_a_file_where_checkpoints_belong_is_named(job: JobFolder) -> None:
    shutil.rmtree(job.path / "checkpoint")
    (job.path / "checkpoint").write_text("")
    with pytest.raises(InputError, match="checkpoint: this is a file where the job has a folder"), job.locked():
        pass


def test_inputs_are_checked_though_the_record_names_no_folder(job: JobFolder, star: Path) -> None:
    record = job.read()
    del record["folder"]
    (job.path / "job.json").write_text(json.dumps(record))
    check_inputs(job)
    star.write_text("data_other\n")
    with pytest.raises(InputError, match="has changed"):
        check_inputs(job)


def test_what_a_kill_left_half_written_goes_with_the_report_that_was_missing(job: JobFolder) -> None:
    job.record(status="reporting")
    left = job.path / ".report.123.part.html"
    left.write_text("half")
    write_missing_report(job, lambda folder: (folder / "report.html").write_text("whole"))
    assert not left.exists()
    assert job.read()["status"] == "finished"
