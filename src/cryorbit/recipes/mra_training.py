"""Supervised training of the encoders of multireference alignment: of the signal, then of the density of shifts."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, get_args

import torch
from pydantic import Field
from torch import nn

from cryorbit.core.bounds import MOST
from cryorbit.core.errors import InputError
from cryorbit.core.progress import Progress, Stopped
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import Measured
from cryorbit.moments.encoders import Architecture, Target, make_encoder
from cryorbit.moments.learner import Learner
from cryorbit.moments.mra_networks import EncoderPair
from cryorbit.moments.training import Schedule, advance, mean_errors
from cryorbit.recipes.settings import JobSettings

ENCODERS_FILE = "encoders.pt"
TARGETS: tuple[Target, ...] = get_args(Target)
REPORTED = 50
"""Steps between lines of metrics."""
CHECKPOINTED = 10
"""Lines of metrics between checkpoints."""
_LOGGER = logging.getLogger(__name__)


class TrainEncodersConfig(JobSettings):
    """Settings of a training."""

    components: int = Field(
        2, ge=1, le=MOST, description="Number of Gaussians in the mixtures of signals and of densities."
    )
    length: int = Field(32, ge=4, le=MOST, description="Length of the signal, samples.")
    architecture: Architecture = Field(
        "equivariant",
        description="Architecture of the encoders: that of the paper's appendix, or one that is equivariant to shifts.",
    )
    steps: int = Field(25_000, ge=1, le=MOST, description="Training steps of each of the two encoders.")
    batch: int = Field(64, ge=1, le=MOST, description="New examples per training step.")
    rate: float = Field(3e-3, gt=0, le=MOST, description="Initial learning rate.")
    test_count: int = Field(20_000, ge=1, le=MOST, description="Number of examples for the test error.")

    @property
    def schedule(self) -> Schedule:
        """How to train."""
        return Schedule(self.components, self.steps, self.batch, self.rate, seed=self.seed)

    def begin(self, target: Target) -> Learner[nn.Module]:
        """A training that has not begun."""
        return Learner.begin(make_encoder(self.architecture, self.length, target, self.seed).to(self.device))


@dataclass(frozen=True, slots=True)
class Encoders:
    """Trained encoders, and what they were trained on."""

    pair: EncoderPair
    length: int
    components: int


@dataclass(frozen=True, slots=True)
class MeanErrors:
    """Mean errors in the test and, of what was trained, in training; each up to whole samples and up to any shift."""

    test: tuple[Measured, Measured]
    train: tuple[Measured, Measured] | None = None


@dataclass(frozen=True, slots=True)
class TrainEncodersResult:
    """Errors of both encoders, by what they estimate."""

    errors: dict[Target, MeanErrors]


def run(config: TrainEncodersConfig, job: JobFolder, progress: Progress) -> TrainEncodersResult:
    """Train both encoders and write them to ``encoders.pt``.

    Raises
    ------
    Stopped
        The job was asked to stop; its checkpoint goes on with the same examples.
    """
    checkpoint = job.load_checkpoint() or {"finished": {}, "errors": {}, "training": None, "metrics": 0}
    job.truncate_metrics(checkpoint["metrics"])
    for target in TARGETS[len(checkpoint["finished"]) :]:
        learner = config.begin(target)
        if checkpoint["training"] is not None:
            learner.restore(checkpoint["training"])
        last = _train(config, learner, target, checkpoint, job, progress)
        test = mean_errors(learner.network, target, config.schedule, config.test_count, config.length).tolist()
        _LOGGER.info("encoder of the %s: error %.4f in training, %.4f in the test", target, last[1], test[1])
        checkpoint["finished"][target] = learner.network.state_dict()
        checkpoint["errors"][target] = {"train": last, "test": test}
        checkpoint["training"] = None
        job.save_checkpoint(checkpoint | {"metrics": job.metrics_count()})
    settings = {name: getattr(config, name) for name in ("architecture", "length", "components")}
    # to a stream: given a path, torch writes the temporary name into the file
    with job.atomic(ENCODERS_FILE) as file, file.open("wb") as stream:
        torch.save({**settings, "weights": checkpoint["finished"]}, stream)
    result = TrainEncodersResult({name: MeanErrors(**errors) for name, errors in checkpoint["errors"].items()})
    job.write_result(result)
    return result


def read_encoders(path: Path) -> Encoders:
    """Read ``encoders.pt``, or that of a training's job folder.

    Raises
    ------
    InputError
        The file cannot be read, or holds something else.
    """
    file = path / ENCODERS_FILE if path.is_dir() else path
    fix = "give the folder of `cryorbit mra train`"
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
        networks = {target: make_encoder(content["architecture"], content["length"], target, 0) for target in TARGETS}
        for target, network in networks.items():
            network.load_state_dict(content["weights"][target])
    except (OSError, RuntimeError, UnpicklingError, EOFError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"cannot be read as encoders: {error}", file=file, fix=fix) from error
    return Encoders(EncoderPair(**networks), content["length"], content["components"])


def _train(
    config: TrainEncodersConfig,
    learner: Learner[nn.Module],
    target: Target,
    checkpoint: dict[str, Any],
    job: JobFolder,
    progress: Progress,
) -> list[float]:
    """Take the steps that are left; returns the mean errors of the last lines of metrics."""
    schedule = config.schedule
    progress.start(-(-(schedule.steps - learner.step) // REPORTED), f"encoder of the {target}")
    while learner.step < schedule.steps:
        count = min(REPORTED, schedule.steps - learner.step)
        errors = [advance(learner, target, config.length, schedule) for _ in range(count)]
        whole_samples, error = torch.stack(errors).mean(0).tolist()
        job.write_metrics(
            {"target": target, "step": learner.step, "error": error, "error_whole_samples": whole_samples}
        )
        progress.advance(error=error)
        stop = progress.stop_requested()
        if stop or learner.step % (REPORTED * CHECKPOINTED) == 0:
            job.save_checkpoint(checkpoint | {"training": learner.record(), "metrics": job.metrics_count()})
        if stop:
            raise Stopped
    lines = [line for line in job.read_metrics() if line["target"] == target][-CHECKPOINTED:]
    return [sum(line[name] for line in lines) / len(lines) for name in ("error_whole_samples", "error")]
