"""The example notebooks run from top to bottom, show something, and reach the results that their text promises."""

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

from documents import ROOT, python_blocks

FOLDER = ROOT / "examples"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LONGEST_CELL = 20


def cells(notebook: Path, kind: str) -> list[str]:
    """Text of the cells of a kind, ``code`` or ``markdown``."""
    return ["".join(cell["source"]) for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == kind]


def run_cell(source: str, names: dict[str, Any]) -> object:
    """Run a cell and return the value of its last line, drawn as a notebook would, or None."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    shown = None if last is None else eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    if hasattr(shown, "_repr_html_"):
        assert shown._repr_html_()
    return shown


def shows_the_ribosome(names: dict[str, Any]) -> None:
    assert names["comparison"].resolution(0.5) < 15
    assert names["comparison"].correlation > 0.9
    assert (names["job"].folder / "report.html").is_file()


def finds_the_symmetry(names: dict[str, Any]) -> None:
    assert len(names["particles"]) == 1270
    assert names["job"].result["symmetry_trial"]["imposed"]
    assert names["job"].fsc.resolution(0.143) < 20


def minimises(names: dict[str, Any]) -> None:
    ends = {name: float(trace.values[-1]) for name, trace in names["traces"].items()}
    assert ends["sem-vr-quasi-newton"] < ends["sign steps"] < ends["sgd"]


PROMISES: dict[str, Callable[[dict[str, Any]], None]] = {
    "first_map": shows_the_ribosome,
    "own_method": minimises,
    "real_particles": finds_the_symmetry,
}


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_runs(notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    names: dict[str, Any] = {"__name__": notebook.stem}
    for cell in cells(notebook, "code"):
        run_cell(cell, names)
    PROMISES[notebook.stem](names)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_is_small_and_without_output(notebook: Path) -> None:
    content = json.loads(notebook.read_text())
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    assert notebook.stat().st_size < 10_000
    code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert all(len(cell["source"]) <= LONGEST_CELL for cell in code)
    assert len({cell["id"] for cell in content["cells"]}) == len(content["cells"])


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda file: file.stem)
def test_links_of_a_notebook_lead_somewhere(notebook: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)", "\n".join(cells(notebook, "markdown")))
    assert targets
    assert [target for target in targets if not target.startswith("https://") and not (FOLDER / target).exists()] == []


def test_every_notebook_promises_something() -> None:
    assert sorted(PROMISES) == [notebook.stem for notebook in NOTEBOOKS]


def test_a_cell_ends_with_what_it_shows() -> None:
    names: dict[str, Any] = {}
    assert run_cell("a = 2\na + 1", names) == 3
    assert run_cell("b = a", names) is None
    assert names["b"] == 2


def test_the_page_of_a_notebook_has_its_cells() -> None:
    page = ROOT / "docs" / "notebook_first_map.md"
    notebook = FOLDER / "first_map.ipynb"
    assert [block.rstrip("\n") for block in python_blocks(page)] == cells(notebook, "code")
    first, *others = cells(notebook, "markdown")
    assert page.read_text().startswith(first)
    # links lead elsewhere from the page
    assert all(text.partition("](")[0] in page.read_text() for text in others)
