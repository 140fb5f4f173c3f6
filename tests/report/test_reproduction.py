"""The page of a reproduction shows its tables and figures, and needs no file beside it."""

import re
from pathlib import Path

from matplotlib.figure import Figure

from cryorbit.report.reproduction import LISTED, read_table, write_reproduction
from cryorbit.studies.tables import write_table


def test_a_table_is_read_with_its_heading_and_notes(tmp_path: Path) -> None:
    rows = [{"method": "a & b", "passes": 1}, {"method": "c", "passes": "2 (1 to 3)"}]
    write_table(tmp_path / "table", rows, "Table 1", ["first", "second"])
    table = read_table(tmp_path / "table.csv")
    assert (table.title, table.notes) == ("Table 1", ["first", "second"])
    assert table.rows == [{"method": "a & b", "passes": "1"}, {"method": "c", "passes": "2 (1 to 3)"}]
    (tmp_path / "table.md").unlink()
    assert read_table(tmp_path / "table.csv").title == "table"


def test_the_page_holds_tables_figures_and_names(tmp_path: Path) -> None:
    long = [{"run": number} for number in range(LISTED + 1)]
    files = write_table(tmp_path / "runs", long, "All runs")
    files += write_table(tmp_path / "table", [{"method": "<GD>", "passes": 7}], "Table 4.3", ["a note"])
    Figure().savefig(tmp_path / "figure_1.png")
    report = write_reproduction(tmp_path, "A thesis", [*files, tmp_path / "figure_1.png"])
    page = report.read_text()
    assert report == tmp_path / "report.html"
    assert "<td>&lt;GD&gt;</td><td>7</td>" in page
    assert 'src="data:image/png;base64,' in page
    assert "figure 1" in page
    assert "a note" in page
    assert page.index("Table 4.3") < page.index("All runs")
    assert page.count("<details>") == 1
    assert "font-family" in page or "font:" in page
    assert not re.search("https?:", page)
