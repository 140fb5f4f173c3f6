"""A job on moments under way: what is done is kept as soon as it is done, and shared among its processes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from cryorbit.core.progress import Progress, Stopped
from cryorbit.io.job_folder import JobFolder
from cryorbit.moments.fit import Fit
from cryorbit.moments.ring_sums import RingSums

LOGGER = logging.getLogger(__name__)


@dataclass(slots=True)
class MomentWork:
    """Sums of both halves of the particles, and fits by name."""

    job: JobFolder
    progress: Progress
    sums: list[RingSums]
    fits: dict[str, Fit]

    @classmethod
    def resumed(cls, job: JobFolder, progress: Progress, device: torch.device) -> MomentWork:
        """What the checkpoint holds, or nothing done."""
        checkpoint = job.group.broadcast(job.load_checkpoint())
        if checkpoint is None:
            return cls(job, progress, [], {})
        sums = [RingSums(*(tensor.to(device) for tensor in each)) for each in checkpoint["sums"]]
        return cls(job, progress, sums, {name: Fit(*each) for name, each in checkpoint["fits"].items()})

    def all_of(self, makes: Mapping[str, Callable[[], Fit]]) -> list[Fit]:
        """Fits by their names: those that were not made before are dealt out to the processes of the job.

        Raises
        ------
        Stopped
            The job was asked to stop; the fits that are made are kept.
        """
        group = self.job.group
        left = [name for name in makes if name not in self.fits]
        for name in makes.keys() - set(left):
            self.progress.advance(cost=self.fits[name].cost)
        for first in range(0, len(left), group.size):
            names = left[first : first + group.size]
            mine = names[group.rank :][:1]
            for fits in group.gather({name: makes[name]() for name in mine}):
                for name, fit in fits.items():
                    self.fits[name] = fit
                    LOGGER.info("%s: cost %.1f after %d evaluations", name, fit.cost, fit.evaluations)
                    self.progress.advance(cost=fit.cost)
            self.save()
        return [self.fits[name] for name in makes]

    def save(self) -> None:
        """Keep everything; ``Stopped`` if that was asked for."""
        fits = {name: [fit.parameters, fit.cost, fit.evaluations] for name, fit in self.fits.items()}
        sums = [list(each.tensors()) for each in self.sums]
        self.job.save_checkpoint({"sums": sums, "fits": fits})
        if self.job.group.any(flag=self.progress.stop_requested()):
            raise Stopped
