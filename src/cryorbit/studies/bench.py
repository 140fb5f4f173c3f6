"""A study at work: its parts are made once and kept, and its tables and figures are written while it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cryorbit.core.progress import Progress, Stopped
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import Kind, Result
from cryorbit.recipes.pipeline.stage import Stage, work_on
from cryorbit.studies.kept import keep
from cryorbit.studies.result import StudyResult


def say_nothing(_: Any) -> Mapping[str, float]:
    """The numbers worth showing of a part that has none."""
    return {}


class Bench:
    """Where a study works.

    Parameters
    ----------
    job
        Its job folder.
    progress
        Watches it.
    share
        Largest part of the time that tables and figures of unfinished work may take.
    clock
        Tells the time, seconds.
    """

    def __init__(
        self,
        job: JobFolder,
        progress: Progress,
        *,
        share: float = 0.05,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.job = job
        self.progress = progress
        self._share, self._clock = share, clock
        self._due = clock()
        self._group, self._counted = "", False
        self._listed: set[str] = set()
        # the parts are listed anew as they are met: those that are kept at once
        job.truncate_metrics(0)

    @property
    def folder(self) -> Path:
        """The job folder."""
        return self.job.path

    def start(self, total: int | None, description: str) -> None:
        """Begin a group of ``total`` parts, each of which is a step of progress."""
        self._group, self._counted = description, True
        self.progress.start(total, description)

    def begin(self, description: str) -> None:
        """Begin a group of parts that tell of their progress themselves."""
        self._group, self._counted = description, False

    def part(
        self,
        name: str,
        inputs: tuple[object, ...],
        make: Callable[[], Any],
        numbers: Callable[[Any], Mapping[str, float]] = say_nothing,
    ) -> Any:
        """A part of the study, made unless it is kept already; it is listed among those that are done.

        Parameters
        ----------
        name, inputs, make
            As for `cryorbit.studies.kept.keep`.
        numbers
            What of a part is worth showing, by name.

        Raises
        ------
        Stopped
            The job was asked to stop before this part.
        """
        self.stop_if_asked()
        kept = keep(self.folder, name, inputs, make)
        shown = numbers(kept.part)
        if name not in self._listed:
            self._listed.add(name)
            self.job.write_metrics({"stage": self._group, "part": name, "seconds": kept.seconds, "numbers": shown})
        if self._counted:
            self.progress.advance(**shown)
        return kept.part

    def work_on(self, stage: Stage[Kind]) -> Kind:
        """The result of a part that is a job of its own, in a folder within; done unless it is finished already."""
        known = [each for each in self.job.read_result(Result).stages if each.folder != stage.folder.name]
        self.job.write_result(Result(stages=(*known, stage.record)))
        return work_on(stage, self.progress, self.job)

    def stop_if_asked(self) -> None:
        """Raise ``Stopped`` if the job was asked to stop."""
        if self.progress.stop_requested():
            raise Stopped

    def show(self, write: Callable[[], Sequence[Path]]) -> None:
        """Have tables and figures of what there is written, as far as it is time to: figures take seconds."""
        if (began := self._clock()) >= self._due:
            self.publish(write())
            now = self._clock()
            self._due = now + (now - began) / self._share

    def publish(self, files: Sequence[Path]) -> list[Path]:
        """Add files to the result of the job, for its report; returns them."""
        names = dict.fromkeys([*self.job.read_result(StudyResult).files, *(file.name for file in files)])
        self.job.write_result(StudyResult(tuple(names)))
        return list(files)

    @property
    def result(self) -> StudyResult:
        """What the study has written so far."""
        return self.job.read_result(StudyResult)
