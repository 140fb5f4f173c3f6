"""Parts of a job dealt out to its processes: each is the work of one process, in a folder of its own.

A part needs nothing of the others, and its steps are too small to be shared. What the parts come to is what one process
comes to that makes them one after the other: the same states, the same metrics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from cryorbit.core.progress import Progress, Stopped
from cryorbit.execution.group import SINGLE_PROCESS
from cryorbit.io.job_folder import JobFolder
from cryorbit.recipes.dataset import Dataset
from cryorbit.recipes.settings import ParticleSettings

AnyDataset = TypeVar("AnyDataset", bound=Dataset)


@dataclass(frozen=True, slots=True)
class DealtParts(Generic[AnyDataset]):
    """A job whose parts are dealt out.

    Attributes
    ----------
    config, dataset, job, progress
        The job.
    count
        Number of parts.
    """

    config: ParticleSettings
    dataset: AnyDataset
    job: JobFolder
    progress: Progress
    count: int

    @property
    def numbers(self) -> list[int]:
        """The parts that are made: all of them; of a job that is to finish now those that have begun."""
        everything = list(range(self.count))
        if not self.job.finish_now:
            return everything
        # all of them are there to see before one goes on
        begun = [number for number in everything if self.job.part_of(number).load_checkpoint() is not None]
        return self.job.group.broadcast(begun)

    def made(self, make: Callable[[int, AnyDataset, JobFolder], None]) -> list[tuple[int, JobFolder]]:
        """Each of the `numbers` with its folder, once all these parts are made; their metrics become lines of the job.

        ``make`` makes a part, or what is left of it, of a dataset that one process works on alone.

        Raises
        ------
        Stopped
            A process was asked to stop; what the parts have come to is kept.
        """
        group, stopped, numbers = self.job.group, False, self.numbers
        for number in numbers[group.rank :: group.size]:
            try:
                self._make(number, make)
            except Stopped:
                stopped = True
                break
        if group.any(flag=stopped):
            raise Stopped
        parts = [(number, self.job.part_of(number)) for number in numbers]
        for _, part in parts:
            for line in part.read_metrics():
                self.job.write_metrics(line)
        return parts

    def _make(self, number: int, make: Callable[[int, AnyDataset, JobFolder], None]) -> None:
        part = self.job.part_of(number)
        part.begin_part()
        watch = part.journal(self.progress, self.config.device, self.config.save_minutes)
        make(
            number, replace(self.dataset, source=replace(self.dataset.source, group=SINGLE_PROCESS, watch=watch)), part
        )
