"""The page of a job while it runs: where the job is, how long it will take, and what it has so far."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from cryorbit.core.progress import Progress
from cryorbit.io.atomic import atomic_path
from cryorbit.report.page import PAGE, render_report, write_report
from cryorbit.report.results import working_folder
from cryorbit.report.templating import load_template

_LOGGER = logging.getLogger("cryorbit")
_PLACE = "<!-- where the job is -->"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a running job is.

    Attributes
    ----------
    description
        Its stage.
    done, total
        Steps of the stage; a total of 0 or 1 says nothing, None that the stage ends by itself.
    left_s
        Time that the rest of the stage will take at the pace so far, seconds; None while that is unknown.
    """

    description: str
    done: int
    total: int | None
    left_s: float | None

    def render(self, command: str) -> str:
        """The top of the page; ``command`` goes on with the job if it was killed."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return load_template("standing.html.j2").render(standing=self, now=now, command=command)


class LiveReport:
    """Progress that is handed on to whoever watches, and kept on the page of the job, which refreshes itself.

    Figures cost time, so they are drawn anew only as often as ``share`` of the job's time allows; in between only the
    top of the page changes. A page that cannot be written is no reason to end a job.

    Parameters
    ----------
    watcher
        Who else is told.
    folder
        The job folder.
    interval
        Least time between two versions of the page, seconds.
    share
        Largest part of the job's time that drawing may take.
    clock
        Tells the time, seconds.
    """

    def __init__(
        self,
        watcher: Progress,
        folder: Path,
        *,
        interval: float = 10.0,
        share: float = 0.02,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._watcher = watcher
        self._folder = folder
        self._interval = interval
        self._share = share
        self._clock = clock
        self._pages: dict[Path, str] = {}
        self._told, self._due = -interval, clock() + interval
        self._started = False
        self._open("starting", 0)

    def __enter__(self) -> Self:
        """Begin to keep the page."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write the page of a job that failed or was stopped, if it had begun and as far as it can be done.

        That of a finished job is a part of its work: see ``running``.
        """
        if kind is not None and self._started:
            with self._forgiving():
                write_report(self._folder)

    def start(self, total: int | None, description: str) -> None:
        """Open a stage."""
        self._watcher.start(total, description)
        self._started = True
        self._open(description, total)
        self._update()

    def advance(self, **fields: float) -> None:
        """Count one step."""
        self._watcher.advance(**fields)
        self._done += 1
        self._update()

    def within(self, done: int, total: int) -> None:
        """Hand on how far the step is."""
        self._watcher.within(done, total)
        self._update()

    def note(self, message: str) -> None:
        """Hand a line on."""
        self._watcher.note(message)

    def stage_finished(self, folder: Path) -> None:
        """Hand on that a part of the job stands complete."""
        self._watcher.stage_finished(folder)
        self._pages.pop(folder, None)

    def stop_requested(self) -> bool:
        """Tell whether somebody asked to stop."""
        return self._watcher.stop_requested()

    def _open(self, description: str, total: int | None) -> None:
        self._description, self._total, self._done, self._began = description, total, 0, self._clock()

    def _standing(self) -> Standing:
        spent = self._clock() - self._began
        left = None
        if self._total is not None and self._done:
            left = spent / self._done * max(self._total - self._done, 0)
        return Standing(self._description, self._done, self._total, left)

    def _update(self) -> None:
        """Bring the page up to date, as far as it is time to."""
        now = self._clock()
        if now - self._told < self._interval:
            return
        self._told = now
        with self._forgiving():
            if now >= self._due:
                self._draw()
                cost = self._clock() - now
                self._due = now + cost / self._share
            self._write()

    @contextmanager
    def _forgiving(self) -> Iterator[None]:
        """Whatever is wrong with a page, the job is worth more."""
        try:
            yield
        except Exception as problem:  # noqa: BLE001
            _LOGGER.warning("the page of the job could not be written: %s", problem)

    def _draw(self) -> None:
        """Render the page of the job, and before it that of the part of it that is at work."""
        for folder in dict.fromkeys((working_folder(self._folder), self._folder)):
            self._pages[folder] = render_report(folder, standing=_PLACE)

    def _write(self) -> None:
        """Write the pages with the job's present standing."""
        standing = self._standing().render(f"cryorbit resume {self._folder}")
        for folder, page in self._pages.items():
            with atomic_path(folder / PAGE) as file:
                file.write_text(page.replace(_PLACE, standing), encoding="utf-8")
