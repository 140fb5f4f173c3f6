"""Code of one's own, ``module:Class``, runs when it is typed; a file or a job that names it is not obeyed by itself."""

import sys
from pathlib import Path

import numpy as np
import pytest
from test_main import run

from cryorbit.api.jobs import plan_job
from cryorbit.core.errors import InputError
from cryorbit.io.job_folder import JobFolder

MODULE = """
from pathlib import Path
Path({mark!r}).touch()
from cryorbit.optim.sgd import SGD
class Own(SGD):
    pass
"""


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is there once the module ``own_method`` was imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_method", raising=False)
    (tmp_path / "own_method.py").write_text(MODULE.format(mark=str(tmp_path / "imported")))
    data = np.random.default_rng(1).normal(size=(60, 1, 6))
    np.savez(tmp_path / "observations.npz", data=data, length=8, sigma=1.0)
    (tmp_path / "settings.toml").write_text('method = "own_method:Own"\n')
    return tmp_path / "imported"


@pytest.mark.parametrize("verb", [["optimise"], ["mra", "solve"]])
def test_a_file_of_settings_does_not_run_code(
    mark: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: list[str]
) -> None:
    given = tmp_path / "observations.npz"
    assert run(*verb, given, "-o", tmp_path / "job", "--config", tmp_path / "settings.toml") == 2
    said = capsys.readouterr().err
    assert "settings.toml: the setting 'method' names code to be run, 'own_method:Own'" in said
    assert "give it with --method, or add --trust" in said
    assert not mark.exists()
    assert not (tmp_path / "job").exists()


@pytest.mark.parametrize("options", [["--trust"], ["--method", "own_method:Own"]])
def test_code_that_is_typed_or_trusted_runs(mark: Path, tmp_path: Path, options: list[str]) -> None:
    files = [tmp_path / "observations.npz", "-o", tmp_path / "job", "--config", tmp_path / "settings.toml"]
    assert run("mra", "solve", *files, *options) == 0
    assert mark.exists()
    assert JobFolder.open(tmp_path / "job").read()["config"]["method"] == "own_method:Own"


def test_a_job_that_is_resumed_does_not_run_code(
    mark: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"observations": tmp_path / "observations.npz", "output": tmp_path / "job", "passes": 2}
    job = plan_job("mra solve", {**given, "method": "own_method:Own"}).make_folder()
    assert run("resume", job.path) == 2
    said = capsys.readouterr().err
    assert "job.json: the setting 'method' names code to be run, 'own_method:Own'" in said
    assert "add --trust" in said
    assert not mark.exists()
    assert run("resume", job.path, "--trust") == 0
    assert mark.exists()


def test_what_is_no_method_is_told(mark: Path, tmp_path: Path) -> None:
    planned = plan_job(
        "mra solve",
        {"observations": tmp_path / "observations.npz", "output": tmp_path / "job", "method": "os:getcwd"},
    )
    with pytest.raises(InputError, match="'os:getcwd' is not a class"):
        planned.recipe.run(planned.config, planned.make_folder(), None)
    assert not mark.exists()
