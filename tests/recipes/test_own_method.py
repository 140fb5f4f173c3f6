"""A method in one file outside the package: the first map and the refinement of the product run on it, by its name."""

import json
from pathlib import Path

import pytest
import torch
from abinit_jobs import make_set
from refine_jobs import DIAMETER, low_passed_map

from cryorbit.cli.main import main
from cryorbit.io.job_folder import JobFolder
from phantom_sets import sharp_phantom

QUICK_SEARCH = """
max_resolution = 20.0
[search]
iterations = 4
batch_first = 20
batch_last = 30
angular_spacing = 30.0
pool = 2
[grow]
iterations = 2
cells = 2
"""
QUICK_REFINEMENT = """
[poses]
cells = 2
angular_spacing = 30.0
[passes]
iterations = 1
[sgd]
iterations = 2
batch = 20
ambiguous = 0.0
method = "my_method:MyMethod"
settings = { keep = 0.5 }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Particles, a start map, settings, and a folder on the Python path with the method that the docs show."""
    page = (Path(__file__).parents[2] / "docs" / "optimise.md").read_text()
    (tmp_path / "my_method.py").write_text(page.partition("```python\n")[2].partition("```")[0])
    monkeypatch.syspath_prepend(tmp_path)
    make_set(tmp_path, [sharp_phantom(torch.Generator().manual_seed(3))], 60, 0.5)
    low_passed_map(tmp_path / "truth_1.mrc", tmp_path / "start.mrc")
    (tmp_path / "search.toml").write_text(QUICK_SEARCH)
    (tmp_path / "refine.toml").write_text(QUICK_REFINEMENT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stages(job: Path) -> list[str]:
    return [json.loads(line)["stage"] for line in (job / "metrics.jsonl").read_text().splitlines()]


ABINIT = ["abinit", "particles.star", "--diameter", str(DIAMETER), "--config", "search.toml", "--device", "cpu"]
REFINE = ["refine", "particles.star", "--map", "start.mrc", "--method", "psgd", "--diameter", str(DIAMETER)]
REFINE += ["--config", "refine.toml", "--no-check-start", "--device", "cpu"]


@pytest.mark.parametrize(
    "method",
    [
        "my_method:MyMethod",
        "svrg",
        pytest.param("nesterov", marks=pytest.mark.slow),
        pytest.param("sem-vr-statistics", marks=pytest.mark.slow),
    ],
)
def test_a_first_map_by_any_method(folder: Path, method: str) -> None:
    main([*ABINIT, "-o", "job", "--method", method])
    record = JobFolder.open(folder / "job").read()
    assert record["config"]["search"]["method"] == method
    assert stages(folder / "job").count("search") >= 2
    assert record["status"] == "finished"


def test_refinement_by_ones_own_method_where_it_is_trusted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*REFINE, "-o", "job"])
    assert "the setting 'method' names code to be run, 'my_method:MyMethod'" in capsys.readouterr().err
    main([*REFINE, "-o", "job", "--trust"])
    assert stages(folder / "job")[:2] == ["sgd", "sgd"]


@pytest.mark.usefixtures("folder")
def test_a_mistake_is_told_before_images_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    for words, told in (
        (["--method", "sdg"], "no method 'sdg'"),
        (["--setting", "momentum=2"], "optimiser momentum"),
        (["--method", "my_method:MyMethod", "--setting", "keep=x"], "'keep'"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main([*ABINIT, "-o", "wrong", *words])
        assert told in capsys.readouterr().err
