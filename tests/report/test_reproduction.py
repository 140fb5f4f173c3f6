"""What the page of a reproduction shows: its tables with their notes, its figures, long tables folded."""

import re
from pathlib import Path

from matplotlib.figure import Figure

from cryorbit.io.job_folder import JobFolder
from cryorbit.report.page import write_report
from cryorbit.report.reproduction import LISTED, read_study, read_table
from cryorbit.studies.result import StudyResult
from cryorbit.studies.tables import Table, write_table


def test_a_table_is_read_with_its_heading_and_notes(tmp_path: Path) -> None:
    rows = [{"method": "a & b", "resolution, Å": 1}, {"method": "c", "resolution, Å": "2 (1 to 3)"}]
    write_table(tmp_path / "table", Table("Table 1", rows, [0], ["first", "second"]))
    table = read_table(tmp_path / "table.csv")
    assert (table.title, table.notes) == ("Table 1", ["first", "second"])
    seeds = {"seeds": "0", "spread": "one seed"}
    assert table.rows == [
        {"method": "a & b", "resolution, Å": "1", **seeds},
        {"method": "c", "resolution, Å": "2 (1 to 3)", **seeds},
    ]
    (tmp_path / "table.md").unlink()
    assert read_table(tmp_path / "table.csv").title == "table"


def test_the_page_holds_tables_figures_and_names(tmp_path: Path) -> None:
    job = JobFolder.create(tmp_path / "job", verb="reproduce paul2024_ch4", config={"seed": 0})
    files = write_table(job.path / "runs", Table("All runs", [{"run": number} for number in range(LISTED + 1)], [0]))
    files += write_table(job.path / "table", Table("Table 4.3", [{"method": "<GD>", "passes": 7}], [0], ["a note"]))
    Figure().savefig(job.path / "figure_1.png")
    names = [file.name for file in files]
    # a file that was listed and is gone is left out
    job.write_result(StudyResult((*names, "figure_1.png", "gone.csv", "gone.png")))
    page = write_report(job.path).read_text(encoding="utf-8")
    assert "<td>&lt;GD&gt;</td><td>7</td>" in page
    assert 'src="data:image/png;base64,' in page
    assert "<h2>figure 1</h2>" in page
    assert "a note" in page
    assert page.index("Table 4.3") < page.index("All runs")
    assert f"<summary>{LISTED + 1} rows</summary>" in page
    assert not re.search("https?:", page)


def test_other_jobs_have_no_such_part(tmp_path: Path) -> None:
    job = JobFolder.create(tmp_path / "job", verb="refine", config={"seed": 0})
    assert read_study(job) is None
