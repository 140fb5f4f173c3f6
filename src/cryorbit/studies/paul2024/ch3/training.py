"""The supervised phase of MoM-net as a job: its encoder trained on generated data sets, checkpointed, resumable."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import Field

from cryorbit.core.bounds import LAST_SEED, MOST
from cryorbit.core.progress import Progress, Stopped
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import Measured
from cryorbit.moments.learner import Learner
from cryorbit.moments.training import Schedule
from cryorbit.recipes.settings import Settings
from cryorbit.studies.paul2024.mom_net.image_examples import ImageFamily
from cryorbit.studies.paul2024.mom_net.network import Setting
from cryorbit.studies.paul2024.mom_net.training import STEEPEST, held_out_losses, make_image_encoder, supervise
from cryorbit.studies.paul2024.moments.fits import make_setting

ENCODER_FILE = "encoder.pt"
REPORTED = 25
"""Steps between lines of metrics."""
CHECKPOINTED = 10
"""Lines of metrics between checkpoints."""


class SuperviseConfig(Settings):
    """Settings of the supervised phase."""

    radius: int = Field(7, ge=1, le=MOST, description="Largest radius, Fourier pixels.")
    orders: int = Field(10, ge=0, le=MOST, description="Largest angular order.")
    box: int = Field(46, ge=4, le=MOST, description="Pixels of the images, in which shifts are counted.")
    eta_most: float = Field(4.0, gt=0, le=MOST, description="Largest spread of shifts, pixels.")
    cheap: bool = Field(False, description="Fewer nodes than the thesis has.")
    atoms: int = Field(20, ge=1, le=MOST, description="Atoms of a structure.")
    steps: int = Field(20_000, ge=1, le=MOST)
    batch: int = Field(128, ge=1, le=MOST, description="New data sets a step.")
    rate: float = Field(2e-3, gt=0, le=MOST, description="First learning rate.")
    test_count: int = Field(13_000, ge=1, le=MOST, description="Data sets of the test.")
    seed: int = Field(0, ge=0, le=LAST_SEED)

    @property
    def setting(self) -> Setting:
        """What the encoder's outputs mean."""
        return make_setting(self.radius, self.orders, self.box, self.eta_most, cheap=self.cheap)

    @property
    def schedule(self) -> Schedule:
        """How to train."""
        return Schedule(self.atoms, self.steps, self.batch, self.rate, seed=self.seed)


@dataclass(frozen=True, slots=True)
class SuperviseResult:
    """Kam losses in training and in the test, and the mean error of the spread of shifts, pixels."""

    train: Measured
    test: Measured
    spread: Measured


def run(config: SuperviseConfig, job: JobFolder, progress: Progress) -> SuperviseResult:
    """Train the encoder and write it to ``encoder.pt``.

    Raises
    ------
    Stopped
        The job was asked to stop; its checkpoint goes on with the same examples.
    """
    setting, schedule = config.setting, config.schedule
    family = ImageFamily.of(setting.slices.radii, config.orders, config.box, config.eta_most)
    encoder = make_image_encoder(setting, config.seed)
    learner = Learner.begin(encoder, STEEPEST)
    checkpoint = job.load_checkpoint()
    job.truncate_metrics(0 if checkpoint is None else checkpoint["metrics"])
    if checkpoint is not None:
        learner.restore(checkpoint["learner"])
    progress.start(-(-(schedule.steps - learner.step) // REPORTED), "supervised phase")
    while learner.step < schedule.steps:
        count = min(REPORTED, schedule.steps - learner.step)
        loss = sum(supervise(learner, setting, family, schedule) for _ in range(count)) / count
        job.write_metrics({"step": learner.step, "loss": loss})
        progress.advance(loss=loss)
        stop = progress.stop_requested()
        if stop or learner.step % (REPORTED * CHECKPOINTED) == 0 or learner.step == schedule.steps:
            job.save_checkpoint({"learner": learner.record(), "metrics": job.metrics_count()})
        if stop:
            raise Stopped
    with job.atomic(ENCODER_FILE) as file:
        torch.save(encoder.state_dict(), file)
    lines = [line["loss"] for line in job.read_metrics()][-CHECKPOINTED:]
    test, spread = held_out_losses(encoder, setting, family, schedule, config.test_count)
    result = SuperviseResult(train=sum(lines) / len(lines), test=test, spread=spread)
    job.write_result(result)
    return result
