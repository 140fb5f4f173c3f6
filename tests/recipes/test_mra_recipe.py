"""Multireference alignment from the command line: simulate, solve, and mistakes that are told."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cryorbit.cli.main import main
from cryorbit.core.errors import InputError
from cryorbit.core.progress import SilentProgress, Stopped
from cryorbit.evaluation.mra import signal_error
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_run import running
from cryorbit.io.mra_files import read_observations
from cryorbit.recipes import mra_solve


@pytest.fixture
def observations(tmp_path: Path) -> Path:
    main(["mra", "simulate", "-o", str(tmp_path / "simulated"), "--count", "2000", "--sigma", "0.1", "--seed", "1"])
    return tmp_path / "simulated" / "observations.npz"


def test_a_signal_is_simulated_and_found_again(observations: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    main(["mra", "solve", str(observations), "-o", str(job), "--device", "cpu"])
    record = json.loads((job / "job.json").read_text())
    assert record["status"] == "finished"
    assert record["result"]["ending"] == "converged"
    assert record["result"]["signal_error"] < 0.05
    with np.load(job / "solution.npz") as solution, np.load(observations) as truth:
        found = signal_error(torch.from_numpy(solution["signal"]), torch.from_numpy(truth["signal"]))
        assert found == pytest.approx(record["result"]["signal_error"])
        assert solution["density"].sum() == pytest.approx(1.0)
    lines = (job / "trace.csv").read_text().splitlines()
    assert lines[0] == "passes,seconds,objective"
    page = (job / "report.html").read_text()
    assert "Solution" in page
    assert "Course of the run" in page
    assert float(lines[-1].split(",")[2]) == -record["result"]["log_likelihood"]


class Interrupted(SilentProgress):
    """A job that is asked to stop at the seventh question, or killed at the sixth."""

    def __init__(self, *, kill: bool) -> None:
        self.asked, self.kill = 0, kill

    def stop_requested(self) -> bool:
        """Whether to stop, or the end."""
        self.asked += 1
        if self.kill and self.asked == 6:
            raise KeyboardInterrupt
        return not self.kill and self.asked == 7


@pytest.mark.parametrize("method", ["sem-vr-quasi-newton", "svrg-quasi-newton", "anderson", "saga", "gradient-descent"])
@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_an_interrupted_solution_comes_to_the_same_bytes(
    method: str, kill: bool, observations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mra_solve, "CHECKPOINT_SECONDS", 0.0)
    contents = []
    for name, progress in (("whole", SilentProgress()), ("parts", Interrupted(kill=kill))):
        config = mra_solve.SolveMRAConfig(
            observations=observations, output=tmp_path / name, method=method, passes=20.0, seed=3
        )
        job = JobFolder.create(tmp_path / name, verb="mra solve", config=config.model_dump(mode="json"))
        interrupted = 0
        while True:
            try:
                mra_solve.run(config, job, progress)
                break
            except (Stopped, KeyboardInterrupt):
                interrupted += 1
        assert interrupted == (name == "parts")
        lines = [{key: line[key] for key in line if "seconds" not in key} for line in job.read_metrics()]
        contents.append(((job.path / "solution.npz").read_bytes(), lines))
    assert contents[0] == contents[1]


def test_a_stopped_solution_is_resumed_by_the_verb(observations: Path, tmp_path: Path) -> None:
    config = mra_solve.SolveMRAConfig(observations=observations, output=tmp_path / "job")
    job = JobFolder.create(
        config.output, verb="mra solve", config=config.model_dump(mode="json"), inputs=[observations]
    )
    with pytest.raises(Stopped), running(job):
        mra_solve.run(config, job, Interrupted(kill=False))
    assert job.read()["status"] == "stopped"
    main(["resume", str(tmp_path / "job"), "--device", "cpu"])
    assert job.read()["status"] == "finished"
    assert job.read()["result"]["ending"] == "converged"


def test_the_error_of_a_signal_does_not_mind_a_shift() -> None:
    truth = torch.randn(2, 7, generator=torch.Generator().manual_seed(0))
    assert signal_error(truth.roll(3, 1), truth) == 0
    assert signal_error(2 * truth, truth) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"sigma": None}, "holds no sigma"),
        ({"sigma": 0.0}, "standard deviation 0"),
        ({"length": 3}, "not windows of a signal of 3"),
        ({"data": np.full((2, 1, 12), np.nan)}, "row 1: an observation is not finite"),
    ],
)
def test_observations_that_cannot_be_used_are_told(
    change: dict[str, object], problem: str, observations: Path, tmp_path: Path
) -> None:
    with np.load(observations) as archive:
        content = {**{name: archive[name] for name in archive.files}, **change}
    np.savez(tmp_path / "changed.npz", **{name: value for name, value in content.items() if value is not None})
    with pytest.raises(InputError, match=problem):
        read_observations(tmp_path / "changed.npz")


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_archive_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        read_observations(tmp_path / "x.npz")
