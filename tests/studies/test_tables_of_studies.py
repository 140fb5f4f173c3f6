"""Tables and figures name their seeds and the spread over them."""

import csv
from pathlib import Path

from matplotlib.figure import Figure

from cryorbit.studies.figures import describe_seeds, save_png
from cryorbit.studies.tables import PUBLISHED, RANGE, Table, as_markdown, median_and_range, name_seeds, write_table


def test_a_markdown_table_has_title_rows_and_notes() -> None:
    rows = [{"method": "a", "passes": 1}, {"method": "b", "passes": 2}]
    text = as_markdown(rows, "Title", ["note"])
    assert text.splitlines() == [
        *("# Title", "", "| method | passes |", "| --- | --- |", "| a | 1 |", "| b | 2 |", "", "- note")
    ]


def test_rows_name_the_seeds_of_their_table_unless_they_name_their_own(tmp_path: Path) -> None:
    rows = [
        {"resolution, Å": "1"},
        {"resolution, Å": "2", **name_seeds([3])},
        {"resolution, Å": "3", **PUBLISHED},
        {"resolution, Å": "4", "spread": "std 0.1"},
    ]
    files = write_table(tmp_path / "table", Table("Title", rows, [0, 1]))
    assert [file.name for file in files] == ["table.csv", "table.md"]
    with files[0].open(encoding="utf-8") as stream:
        read = [tuple(row.values()) for row in csv.DictReader(stream)]
    assert read == [
        ("1", "0, 1", RANGE),
        ("2", "3", "one seed"),
        ("3", "", "not published"),
        ("4", "0, 1", "std 0.1"),
    ]


def test_several_values_are_a_median_and_a_range() -> None:
    assert median_and_range([3.0], ".1f") == "3.0"
    assert median_and_range([3.0, 1.0, float("inf")], ".1f") == "3.0 (1.0 to inf)"
    assert median_and_range([4.0, 1.0], ".0f") == "4 (1 to 4)"


def test_a_figure_says_which_seeds_it_shows(tmp_path: Path) -> None:
    figure = Figure(layout="constrained")
    figure.subplots().plot([1, 2])
    assert save_png(figure, tmp_path / "a.png", [7]).read_bytes()[1:4] == b"PNG"
    assert figure.get_supxlabel() == "seed 7, one seed"
    assert describe_seeds([1, 2]) == "seeds 1, 2"
    assert describe_seeds([1], mean=True) == "seed 1, one seed; means over data sets"
    assert "depends on a seed" in describe_seeds([])
