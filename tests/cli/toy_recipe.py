"""A recipe that counts to a number, with all that a job does: checkpoints, metrics, stopping, resuming."""

import os
import signal
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field

from cryorbit.core.errors import InputError
from cryorbit.core.progress import Progress, Stopped
from cryorbit.io.job_folder import JobFolder


class ScheduleConfig(BaseModel):
    """Nested settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: float = Field(default=1.0, gt=0)


class AbinitConfig(BaseModel):
    """Settings of the toy; the names the verb gives."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    particles: Path
    output: Path
    classes: int = Field(default=1, ge=1)
    symmetry: str = "C1"
    diameter: float | None = None
    max_resolution: float = 12.0
    seeds: int = 1
    data_dir: Path | None = None
    invert_contrast: bool | None = None
    seed: int = 0
    device: str = "cpu"
    threads: int | None = None
    iterations: int = 6
    interrupt_at: int | None = None
    fail_at: int | None = None
    schedule: ScheduleConfig = ScheduleConfig()


def run(config: AbinitConfig, job: JobFolder, progress: Progress) -> torch.Tensor:
    """Add seeded random numbers; the sum is the result."""
    state = job.load_checkpoint() or {"iteration": 0, "total": torch.zeros(()), "metrics": 0}
    job.truncate_metrics(state["metrics"])
    generator = torch.Generator().manual_seed(config.seed)
    if "rng" in state:
        generator.set_state(state["rng"])
    progress.start(config.iterations, "counting")
    for iteration in range(state["iteration"], config.iterations):
        if iteration == config.fail_at:
            raise InputError("a bad row", file="x.star", row=iteration, fix="fix it")
        if iteration == config.interrupt_at and "rng" not in state:
            os.kill(os.getpid(), signal.SIGINT)
        state["total"] = state["total"] + torch.randn((), generator=generator)
        job.write_metrics({"iteration": iteration, "resolution_A": 20.0 - iteration})
        saved = {"iteration": iteration + 1, "rng": generator.get_state(), "metrics": job.metrics_count()}
        job.save_checkpoint({**state, **saved})
        progress.advance(resolution_A=20.0 - iteration, log_likelihood=-1.5, ess=3.0)
        if progress.stop_requested():
            raise Stopped
    progress.note("counted")
    entry = {"map": "class_1.mrc", "particles": 10, "fraction": 1.0, "resolution_A": 9.0}
    verdict = {"level": "good", "sentence": "The sum is trustworthy.", "reasons": ["it was counted"]}
    job.record(result={"total": state["total"], "classes": [entry], "verdict": verdict})
    return state["total"]
