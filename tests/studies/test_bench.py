"""A study at work: parts listed once, tables and figures written in between, stopped before a part."""

from functools import partial
from pathlib import Path

import pytest

from cryorbit.core.progress import SilentProgress, Stopped
from cryorbit.io.job_folder import JobFolder
from cryorbit.report.live import LiveReport
from cryorbit.studies.bench import Bench
from cryorbit.studies.tables import Table, write_table


class Counting(SilentProgress):
    """Progress that counts steps, and asks to stop after so many."""

    def __init__(self, patience: int = 100) -> None:
        self.steps, self._patience = 0, patience

    def advance(self, **_: float) -> None:
        """Count."""
        self.steps += 1

    def stop_requested(self) -> bool:
        """Whether so many steps are done."""
        return self.steps >= self._patience


def make_job(folder: Path) -> JobFolder:
    return JobFolder.create(folder, verb="reproduce toader2023", config={"seed": 0})


def work(bench: Bench, made: list[int]) -> None:
    """Three parts, each of which is a number."""
    bench.start(3, "numbers")
    for number in range(3):

        def make(number: int = number) -> int:
            made.append(number)
            return number

        bench.part(f"number {number}", (number,), make, lambda part: {"value": part})


def test_a_stopped_study_goes_on_after_its_last_part_and_lists_each_once(tmp_path: Path) -> None:
    job, made = make_job(tmp_path / "job"), list[int]()
    with pytest.raises(Stopped):
        work(Bench(job, Counting(2)), made)
    assert made == [0, 1]
    progress = Counting()
    work(Bench(job, progress), made)
    assert made == [0, 1, 2]
    assert progress.steps == 3
    lines = job.read_metrics()
    assert [(line["stage"], line["part"], line["numbers"]["value"]) for line in lines] == [
        ("numbers", f"number {number}", number) for number in range(3)
    ]


def test_a_part_that_is_asked_for_twice_is_listed_once(tmp_path: Path) -> None:
    job, made = make_job(tmp_path / "job"), list[int]()
    bench = Bench(job, SilentProgress())
    work(bench, made)
    work(bench, made)
    assert made == [0, 1, 2]
    assert job.metrics_count() == 3


def test_tables_are_shown_as_often_as_their_cost_allows(tmp_path: Path) -> None:
    seconds, shown = [0.0], list[float]()
    bench = Bench(make_job(tmp_path / "job"), SilentProgress(), share=0.1, clock=lambda: seconds[0])

    def write() -> list[Path]:
        shown.append(seconds[0])
        seconds[0] += 2.0
        return [bench.folder / "table.csv"]

    for _ in range(50):
        bench.show(write)
        seconds[0] += 1.0
    # two seconds of writing are a tenth of the twenty until the next
    assert shown == [0.0, 22.0, 44.0]


def test_the_live_page_shows_parts_and_rows_while_the_study_runs(tmp_path: Path) -> None:
    job, pages = make_job(tmp_path / "job"), list[str]()
    with LiveReport(SilentProgress(), job.path, interval=0.0, share=1.0, clock=lambda: float(len(pages))) as live:
        bench = Bench(job, live, clock=lambda: 0.0)
        bench.start(3, "numbers")
        for number in range(3):
            bench.part(f"number {number}", (number,), partial(int, number), lambda part: {"value": part})
            pages.append((job.path / "report.html").read_text())
            rows = [{"value": f"row {each}"} for each in range(number + 1)]
            bench.show(partial(write_table, bench.folder / "table", Table("Numbers so far", rows, [0])))
    assert "Running: numbers, step 3 of 3" in pages[1]
    assert "<td>number 1</td>" in pages[1]
    assert "<td>row 0</td>" in pages[1]
    assert "Numbers so far" not in pages[0]
    assert "<td>row 1</td>" in pages[2]


def test_the_result_lists_files_in_the_order_of_the_first_writing(tmp_path: Path) -> None:
    job = make_job(tmp_path / "job")
    bench = Bench(job, SilentProgress())
    bench.publish([bench.folder / "b.csv", bench.folder / "a.csv"])
    bench.publish([bench.folder / "a.csv", bench.folder / "c.png"])
    assert Bench(job, SilentProgress()).result.files == ("b.csv", "a.csv", "c.png")
