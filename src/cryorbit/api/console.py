"""Progress for people: a live bar on a terminal, a display in a notebook, plain lines elsewhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import rich.progress
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.table import Column

from cryorbit.api.interrupts import StopFlag
from cryorbit.api.notebook_progress import NotebookProgress
from cryorbit.api.progress_words import describe_fields, describe_part, describe_stage, write_stage_report
from cryorbit.core.progress import Progress

_LOGGER = logging.getLogger("cryorbit")

WIDE = 100
"""Columns of a terminal in which all numbers of a step find room."""
MOST_STEPS = len("100/150")
"""Columns for the count of steps, which is never cut."""
LONG_STEP_S = 60.0
"""After which a line tells how far a step is."""


class BarProgress:
    """Progress as one live line on a terminal.

    Parameters
    ----------
    bar
        A bar whose columns show the fields ``shown`` and ``within``.
    stop
        Whether somebody asked to stop.
    """

    def __init__(self, bar: rich.progress.Progress, stop: StopFlag) -> None:
        self._bar = bar
        self._stop = stop
        self._task = bar.add_task("starting", total=None, shown="", within="")

    def start(self, total: int | None, description: str) -> None:
        """Open a stage."""
        _LOGGER.info(describe_stage(total, description))
        self._bar.reset(self._task, total=total, description=description, shown="", within="")

    def advance(self, **fields: float) -> None:
        """Count one step and show its numbers."""
        leave_out = () if self._bar.console.width >= WIDE else ("log_likelihood",)
        self._bar.update(self._task, advance=1, shown=describe_fields(fields, leave_out), within="")

    def within(self, done: int, total: int) -> None:
        """Show how far the step is."""
        self._bar.update(self._task, within=describe_part(done, total))

    def note(self, message: str) -> None:
        """Put a line above the bar."""
        _LOGGER.info(message)
        self._bar.console.print(message, markup=False, highlight=False)

    def stage_finished(self, folder: Path) -> None:
        """Write the report of the stage."""
        write_stage_report(folder)

    def stop_requested(self) -> bool:
        """Tell whether somebody asked to stop."""
        return self._stop.requested


class LineProgress:
    """Progress as plain lines, for logs and batch systems.

    Parameters
    ----------
    console
        Where the lines go.
    stop
        Whether somebody asked to stop.
    interval
        Least time between two lines of one stage, seconds.
    """

    def __init__(self, console: Console, stop: StopFlag, interval: float = 5.0) -> None:
        self._console = console
        self._stop = stop
        self._interval = interval
        self.start(1, "")

    def start(self, total: int | None, description: str) -> None:
        """Open a stage."""
        self._description = description
        self._total = total
        self._done = 0
        self._began = self._told = time.monotonic()
        if description:
            self.note(describe_stage(total, description))

    def advance(self, **fields: float) -> None:
        """Count one step; tell its numbers if the last line is old, or if it is known to be the last one."""
        self._done += 1
        now = time.monotonic()
        if self._done != self._total and now - self._told < self._interval:
            return
        self._told = now
        shown = describe_fields(fields)
        if self._total is None:
            pace = timedelta(seconds=round((now - self._began) / self._done))
            self._write(f"{self._description} {self._done}  {shown}  {pace} a step")
            return
        counted = f"{self._description} {self._done}/{self._total}  {shown}"
        if self._done < self._total:
            left = (now - self._began) / self._done * (self._total - self._done)
            self._write(f"{counted}  {timedelta(seconds=round(left))} left")
        elif self._total > 1:
            self._write(counted)
        elif shown:
            self._write(f"{self._description}  {shown}")

    def within(self, done: int, total: int) -> None:
        """Tell how far the step is if the last line is old."""
        now = time.monotonic()
        if now - self._told >= LONG_STEP_S:
            self._told = now
            step = f" {self._done + 1}" if self._total != 1 else ""
            self._write(f"{self._description}{step}: {describe_part(done, total)}")

    def note(self, message: str) -> None:
        """Write a line."""
        _LOGGER.info(message)
        self._write(message)

    def stage_finished(self, folder: Path) -> None:
        """Write the report of the stage."""
        write_stage_report(folder)

    def stop_requested(self) -> bool:
        """Tell whether somebody asked to stop."""
        return self._stop.requested

    def _write(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def watch(console: Console, stop: StopFlag) -> Iterator[Progress]:
    """Show the progress of the block on ``console`` in the form that suits it."""
    if console.is_jupyter and not console.quiet:
        shown = NotebookProgress(stop)
        try:
            yield shown
        finally:
            shown.finish()
        return
    if not console.is_terminal:
        yield LineProgress(console, stop)
        return
    columns = (
        TextColumn("[bold]{task.description}", table_column=Column(overflow="ellipsis", no_wrap=True)),
        BarColumn(bar_width=16 if console.width >= WIDE else 8),
        MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=MOST_STEPS)),
        TextColumn("{task.fields[within]}"),
        TextColumn("{task.fields[shown]}"),
        TimeRemainingColumn(compact=True),
    )
    with rich.progress.Progress(*columns, console=console) as bar:
        yield BarProgress(bar, stop)
