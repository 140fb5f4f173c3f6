"""The page of a running job: where it is, seldom drawn, often told; and in the end the page as it always was."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fabricated_job import BOX, blob_map

from cryorbit.core.progress import SilentProgress, Stopped
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_run import running
from cryorbit.report import live
from cryorbit.report.live import LiveReport, Standing
from cryorbit.report.page import write_report


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The time, seconds."""
        return self.now


class Listener(SilentProgress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def start(self, total: int | None, description: str) -> None:
        """Hear of a stage."""
        self.heard.append((total, description))

    def advance(self, **fields: float) -> None:
        """Hear of a step."""
        self.heard.append(fields)

    def note(self, message: str) -> None:
        """Hear a line."""
        self.heard.append(message)

    def stage_finished(self, folder: Path) -> None:
        """Hear of a part that stands."""
        self.heard.append(folder)

    def stop_requested(self) -> bool:
        """Ask for a stop at once."""
        return True


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    return JobFolder.create(tmp_path / "job", verb="abinit", config={"seed": 0})


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders whose pages were drawn, in order."""
    folders: list[Path] = []
    draw: Callable[..., str] = live.render_report

    def watched(folder: Path, standing: str | None = None) -> str:
        folders.append(folder)
        return draw(folder, standing)

    monkeypatch.setattr(live, "render_report", watched)
    return folders


def steps(report: LiveReport, clock: Clock, count: int, seconds: float) -> None:
    for _ in range(count):
        clock.now += seconds
        report.advance(ess=2.0)


def page_of(job: JobFolder) -> str:
    return (job.path / "report.html").read_text()


def test_the_page_says_where_the_job_is_and_refreshes_itself(job: JobFolder) -> None:
    clock = Clock()
    with running(job), LiveReport(SilentProgress(), job.path, clock=clock) as report:
        report.start(10, "resolution growth")
        steps(report, clock, 4, 15.0)
        text = page_of(job)
    assert "Running: resolution growth, step 5 of 10" in text
    assert '<progress max="10" value="4">' in text
    assert "40 % of this stage, at most 1 min 30 s left in it" in text
    assert '<noscript><meta http-equiv="refresh" content="20"></noscript>' in text
    assert "location.reload()" in text
    assert f"cryorbit resume {job.path}" in text


def test_the_last_page_does_not_refresh(job: JobFolder) -> None:
    clock = Clock()
    with LiveReport(SilentProgress(), job.path, clock=clock) as report, running(job, write_report):
        report.start(2, "all")
        steps(report, clock, 2, 60.0)
        assert "Running" in page_of(job)
    text = page_of(job)
    assert not re.search("Running|refresh|location.reload", text)
    write_report(job.path)
    assert page_of(job) == text


def test_drawing_takes_its_share_of_the_time_and_no_more(
    job: JobFolder, drawn: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drawing that takes 3 seconds is due at once and then every 150; where the job is, is told every 10."""
    clock = Clock()
    draw = live.render_report

    def slow(folder: Path, standing: str | None = None) -> str:
        clock.now += 3.0
        return draw(folder, standing)

    monkeypatch.setattr(live, "render_report", slow)
    versions = set()
    report = LiveReport(SilentProgress(), job.path, clock=clock)
    report.start(1000, "search")
    for _ in range(600):
        steps(report, clock, 1, 1.0)
        if (job.path / "report.html").exists():
            versions.add(re.search(r'value="(\d+)"', page_of(job)))
    assert len(drawn) == 5
    values = {match.group(1) for match in versions if match}
    assert 50 <= len(values) <= 62


def test_a_job_of_less_than_the_interval_is_not_drawn_before_its_end(job: JobFolder, drawn: list[Path]) -> None:
    clock = Clock()
    report = LiveReport(SilentProgress(), job.path, clock=clock)
    report.start(10, "search")
    steps(report, clock, 9, 1.0)
    assert drawn == []


def test_everything_is_handed_on(job: JobFolder) -> None:
    listener = Listener()
    report = LiveReport(listener, job.path, clock=Clock())
    report.start(3, "a")
    report.advance(ess=1.0)
    report.note("b")
    report.stage_finished(job.path)
    assert listener.heard == [(3, "a"), {"ess": 1.0}, "b", job.path]
    assert report.stop_requested()


def test_the_map_of_the_checkpoint_is_shown(job: JobFolder) -> None:
    volumes = torch.stack([blob_map(1), blob_map(2)])
    job.save_checkpoint({"state": {"volume": volumes, "stage": "grow"}, "metrics": 0})
    clock = Clock()
    with running(job):
        report = LiveReport(SilentProgress(), job.path, clock=clock)
        report.start(10, "resolution growth")
        steps(report, clock, 1, 15.0)
        text = page_of(job)
    assert "Maps so far" in text
    assert text.count('<figure class="surface"') == 2


def test_of_a_refinement_the_mean_of_the_halves_is_shown(job: JobFolder) -> None:
    halves = torch.stack([2 * blob_map(2), 0 * blob_map(2)])[:, None]
    job.save_checkpoint({"state": {"references": halves}, "metrics": 0})
    shown = live.render_report(job.path, "")
    job.save_checkpoint({"state": {"volume": blob_map(2)[None]}, "metrics": 0})
    assert shown == live.render_report(job.path, "")
    assert shown.count('<figure class="surface"') == 1
    job.save_checkpoint({"state": {"volume": torch.zeros(1, BOX, BOX, BOX)}, "metrics": 0})
    assert '<figure class="surface"' not in live.render_report(job.path, "")


def test_the_part_at_work_has_a_page_of_its_own(job: JobFolder, drawn: list[Path]) -> None:
    stage = JobFolder.create(job.path / "1_abinit", verb="abinit", config={})
    job.record(result={"stages": [{"title": "First maps", "verb": "abinit", "folder": "1_abinit"}]})
    clock = Clock()
    report = LiveReport(SilentProgress(), job.path, clock=clock)
    with running(stage):
        report.start(10, "search")
        steps(report, clock, 1, 15.0)
        assert drawn == [stage.path, job.path]
        for page in (page_of(stage), page_of(job)):
            assert "Running: search" in page
        assert 'href="1_abinit/report.html"' in page_of(job)
    write_report(stage.path)
    report.stage_finished(stage.path)
    steps(report, clock, 1, 15.0)
    assert "Running" not in page_of(stage)
    assert "Running" in page_of(job)


def test_a_page_that_cannot_be_written_does_not_end_the_job(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> str:
        raise ZeroDivisionError("nothing to draw")

    monkeypatch.setattr(live, "render_report", broken)
    clock = Clock()
    report = LiveReport(SilentProgress(), job.path, clock=clock)
    report.start(10, "search")
    steps(report, clock, 2, 15.0)
    assert "nothing to draw" in caplog.text


def test_a_job_that_was_stopped_or_failed_says_so_on_its_page(tmp_path: Path) -> None:
    for problem, words in ((Stopped, "This job is stopped"), (ValueError, "This job is failed")):
        job = JobFolder.create(tmp_path / words, verb="abinit", config={})
        with pytest.raises(problem), LiveReport(SilentProgress(), job.path) as report, running(job):
            report.start(3, "search")
            raise problem
        assert words in page_of(job)


def test_a_job_that_never_began_has_no_page(job: JobFolder) -> None:
    with pytest.raises(ValueError), LiveReport(SilentProgress(), job.path), running(job):
        raise ValueError
    assert not (job.path / "report.html").exists()


def test_a_job_that_was_killed_says_so(job: JobFolder) -> None:
    with running(job):
        pass
    assert "was killed" not in write_report(job.path).read_text()
    job.record(status="running")
    with running(job):
        pass
    assert "The job was killed once" in write_report(job.path).read_text()


def test_a_stage_that_ends_by_itself_shows_its_step_and_no_time_left() -> None:
    page = Standing("passes", 3, None, None).render("cryorbit resume job")
    assert "passes, step 4" in page
    assert "left" not in page
    assert "<progress" not in page
