"""Optimisation of a particle set: what it leaves, interruptions, methods by name, and mistakes that are told."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from abinit_jobs import make_set
from test_abinit import StopsAfter

from cryorbit.cli.main import main
from cryorbit.cli.method_settings import read_settings
from cryorbit.core.errors import InputError
from cryorbit.core.progress import Progress, SilentProgress, Stopped
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_run import running
from cryorbit.io.mrc import read_map
from cryorbit.recipes.optimise import OptimiseConfig, run
from cryorbit.recipes.optimise.course import HeldOutPoint
from cryorbit.recipes.optimise.outputs import OptimiseResult, within_radius
from cryorbit.recipes.optimise.verdict import judge
from phantom_sets import sharp_phantom

SMALL: dict[str, Any] = {
    "diameter": 100.0,
    "resolution": 60.0,
    "epochs": 2.0,
    "points": 2,
    "held_out": 20,
    "quadrature": {"undersampling": 1.5, "shift_sigma": 0.0},
}


@pytest.fixture(scope="module")
def particles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Particles of a phantom, centred."""
    folder = tmp_path_factory.mktemp("optimise")
    return make_set(folder, [sharp_phantom(torch.Generator().manual_seed(3))], 220, 0.5, shift_sigma=0.0)


def optimised(
    particles: Path, output: Path, progress: Progress | None = None, **changes: Any
) -> tuple[JobFolder, OptimiseResult]:
    """An optimisation, or what is left of the one at ``output``."""
    config = OptimiseConfig(particles=particles, output=output, **{**SMALL, **changes})
    if (output / "job.json").exists():
        job = JobFolder.open(output)
    else:
        job = JobFolder.create(output, verb="optimise", config=config.model_dump(mode="json"), inputs=[particles])
    with running(job):
        result = run(config, job, progress or SilentProgress())
    return job, result


def test_held_out_likelihood_rises_and_its_course_is_written_down(particles: Path, tmp_path: Path) -> None:
    job, result = optimised(particles, tmp_path / "job", settings={"batch_size": 50})
    assert result.held_out_end < result.held_out_start - 0.5
    assert result.evaluations == 2 * 200
    assert result.verdict is not None
    assert result.verdict.level == "doubtful"
    assert "but one random start cannot show whether its map is right" in result.verdict.sentence
    with (job.path / "course.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["epochs"]) for row in rows] == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert float(rows[-1]["held_out"]) == result.held_out_end
    volume, pixel_size = read_map(job.path / "map.mrc")
    assert len(volume) * pixel_size == pytest.approx(160)
    assert [line["evaluations"] for line in job.read_metrics()] == [100, 200, 300, 400]
    # what the method did since the row before; plain gradients have no pairs, and the start no steps
    assert rows[0]["cosine"] == ""
    assert [float(row["cosine"]) for row in rows[1:]] == pytest.approx([1.0] * 4, abs=1e-4)
    assert {row["pairs"] for row in rows} == {""}
    assert all("pairs" not in line and line["step_length"] > 0 for line in job.read_metrics())


@pytest.mark.parametrize("draws", [None, 30])
def test_a_job_stopped_again_and_again_ends_with_the_same_bytes(
    particles: Path, tmp_path: Path, draws: int | None
) -> None:
    quadrature = {**SMALL["quadrature"], "draws": draws}
    changes = {"method": "momentum", "settings": {"batch_size": 50}, "quadrature": quadrature}
    straight, _ = optimised(particles, tmp_path / "straight", **changes)
    stopped, stops = tmp_path / "stopped", 0
    while True:
        try:
            job, _ = optimised(particles, stopped, StopsAfter(1), **changes)
            break
        except Stopped:
            stops += 1
    assert stops > 0
    for name in ("map.mrc", "course.csv"):
        assert (job.path / name).read_bytes() == (straight.path / name).read_bytes(), name


def example() -> str:
    """The method that the page on optimisation shows."""
    page = (Path(__file__).parents[2] / "docs" / "optimise.md").read_text()
    return page.partition("```python\n")[2].partition("```")[0]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the Python path with the page's method in it."""
    (tmp_path / "my_method.py").write_text(example())
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_the_method_of_the_page_runs_by_name(particles: Path, module: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = module / "job"
    settings = {key: value for key, value in SMALL.items() if key != "quadrature"}
    toml = "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
    (module / "small.toml").write_text(toml + "[quadrature]\nundersampling = 1.5\nshift_sigma = 0.0\n")
    arguments = ["--config", str(module / "small.toml"), "--setting", "batch_size=50", "--device", "cpu"]
    main(["optimise", str(particles), "-o", str(job), "--method", "my_method:MyMethod", *arguments])
    assert "report" in capsys.readouterr().out
    result = JobFolder.open(job).read()["result"]
    assert result["held_out_end"] < result["held_out_start"]
    assert (job / "report.html").exists()


@pytest.mark.slow
def test_the_method_of_the_page_goes_through_the_battery(module: Path) -> None:
    battery = Path(__file__).parents[1] / "optim" / "test_methods.py"
    environment = os.environ | {"CRYORBIT_METHODS": "my_method:MyMethod", "PYTHONPATH": str(module)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        str(battery),
        "-k",
        "my_method",
    ]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
    assert "5 passed" in ended.stdout


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"method": "pathlib:Path"}, "is not a method"),
        ({"method": "cryorbit.optim.sgd:SGD", "settings": {"momentum": 0.5}}, "unknown setting 'momentum'"),
        ({"resolution": 9.0}, "show nothing finer than 10 Å"),
        ({"resolution": 100.0}, "cannot be scored"),
        ({"held_out": 150}, "cannot be held out"),
        ({"method": "projection-matching", "quadrature": {**SMALL["quadrature"], "draws": 20}}, "scores all poses"),
    ],
)
def test_mistakes_are_told_before_the_first_step(
    particles: Path, tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        optimised(particles, tmp_path / "job", **changes)


def test_settings_are_read_as_they_are_typed() -> None:
    assert read_settings(("step-size=0.5", "batch_size=20", "base=scalar")) == {
        "step_size": 0.5,
        "batch_size": 20,
        "base": "scalar",
    }
    with pytest.raises(InputError, match="has no value"):
        read_settings(("step_size",))


def test_a_density_within_a_radius_has_nothing_beyond(generator: torch.Generator) -> None:
    density = torch.randn(12, 12, 12, generator=generator)
    power = torch.fft.rfftn(within_radius(density, 3.0)).abs()
    assert float(power[4:9].max()) < 1e-4
    assert float(power[0, 0, 3] - torch.fft.rfftn(density)[0, 0, 3].abs()) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    ("held_out", "random_start", "doubts", "level", "words"),
    [
        ((-1.0, -3.0), False, [], "good", "fit this map better than pure noise by 3.0 nats, scored to 20.0 Å."),
        ((-1.0, -3.0), True, [], "doubtful", "one random start cannot show"),
        ((-3.0, -1.0), False, [], "doubtful", "held-out particles fitted its start better"),
        ((-1.0, -3.0), False, ["the images were masked"], "doubtful", "but the images were masked"),
        ((0.5, 0.1), False, [], "bad", "Do not trust this map: held-out particles fit it no better than pure noise"),
        ((-1.0, float("nan")), False, [], "bad", "no better than pure noise"),
    ],
)
def test_the_verdict(
    held_out: tuple[float, float], random_start: bool, doubts: list[str], level: str, words: str
) -> None:
    course = [HeldOutPoint(0, 0.0, held_out[0]), HeldOutPoint(100, 1.0, held_out[1])]
    verdict = judge(course, 20.0, random_start=random_start, doubts=doubts)
    assert verdict.level == level
    assert words in verdict.sentence
