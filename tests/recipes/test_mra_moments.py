"""Moments of multireference alignment from the command line: inversion, training, resuming, mistakes."""

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
from cryorbit.recipes import mra_training
from cryorbit.recipes.mra_moments import sum_up
from cryorbit.recipes.mra_training import TrainEncodersConfig, read_encoders

SHORT = {"components": 1, "length": 12, "steps": 60, "batch": 4, "test_count": 50}


class StopAfter(SilentProgress):
    """Progress that asks to stop after some steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def advance(self, **fields: float) -> None:  # noqa: ARG002
        """Count one step."""
        self.left -= 1

    def stop_requested(self) -> bool:
        """Tell whether the steps are up."""
        return self.left <= 0


@pytest.fixture
def observations(tmp_path: Path) -> Path:
    sizes = ("--length", "12", "--window", "12", "--count", "20000", "--sigma", "0.2")
    main(["mra", "simulate", "-o", str(tmp_path / "simulated"), *sizes])
    return tmp_path / "simulated" / "observations.npz"


def train(folder: Path, progress: SilentProgress) -> JobFolder:
    config = TrainEncodersConfig(output=folder, **SHORT)
    known = (folder / "job.json").exists()
    job = JobFolder.open(folder) if known else JobFolder.create(folder, verb="mra train", config=config.model_dump())
    mra_training.run(config, job, progress)
    return job


def test_moments_are_formed_and_inverted(observations: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    main(["mra", "moments", str(observations), "-o", str(job), "--starts", "3", "--device", "cpu"])
    record = json.loads((job / "job.json").read_text())
    assert (record["status"], record["verb"]) == ("finished", "mra moments")
    assert record["result"]["signal_error"] < 0.05
    assert record["result"]["second_moment_error"] < 0.02
    assert 0.5 < record["result"]["residual"] < 1.5
    with (
        np.load(job / "solution.npz") as solution,
        np.load(observations) as truth,
        np.load(job / "moments.npz") as kept,
    ):
        found = signal_error(torch.from_numpy(solution["signal"]), torch.from_numpy(truth["signal"]))
        assert found == pytest.approx(record["result"]["signal_error"])
        data = truth["data"][:, 0]
        np.testing.assert_allclose(kept["first"], data.mean(0), atol=1e-10)
        np.testing.assert_allclose(kept["second"], data.T @ data / len(data) - 0.04 * np.eye(12), atol=1e-10)


def test_encoders_are_one_start_more(observations: Path, tmp_path: Path) -> None:
    train(tmp_path / "encoders", SilentProgress())
    job = tmp_path / "job"
    (tmp_path / "few.toml").write_text("refinement_steps = 5\n")
    given = ("--starts", "0", "--encoders", str(tmp_path / "encoders"), "--config", str(tmp_path / "few.toml"))
    main(["mra", "moments", str(observations), "-o", str(job), *given, "--device", "cpu"])
    record = json.loads((job / "job.json").read_text())
    assert record["result"]["start"] in {"classical", "encoders"}
    assert record["result"]["signal_error"] < 0.05


def test_training_that_was_stopped_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    straight = train(tmp_path / "straight", SilentProgress())
    for steps in (1, 2):
        with pytest.raises(Stopped):
            train(tmp_path / "stopped", StopAfter(steps))
    resumed = train(tmp_path / "stopped", SilentProgress())
    assert resumed.read()["result"] == straight.read()["result"]
    assert resumed.read_metrics() == straight.read_metrics()
    pairs = [read_encoders(job.path).pair for job in (straight, resumed)]
    for target in ("signal", "density"):
        one, two = (getattr(pair, target).state_dict() for pair in pairs)
        assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_training_can_be_resumed_by_name(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        train(tmp_path / "job", StopAfter(1))
    main(["resume", str(tmp_path / "job"), "--device", "cpu"])
    record = JobFolder.open(tmp_path / "job").read()
    assert record["status"] == "finished"
    assert set(record["result"]["errors"]) == {"signal", "density"}


def test_what_is_no_set_of_encoders_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read as encoders"):
        read_encoders(tmp_path)
    (tmp_path / "encoders.pt").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read as encoders"):
        read_encoders(tmp_path / "encoders.pt")


def test_a_stop_is_heeded_between_chunks() -> None:
    with pytest.raises(Stopped):
        sum_up(torch.zeros(20_000, 1, 2), 1.0, StopAfter(1))
