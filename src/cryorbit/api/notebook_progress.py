"""Progress in a notebook: one line that is replaced as the job advances, with what the job noted folded below it."""

from __future__ import annotations

import logging
import time
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any

from cryorbit.api.interrupts import StopFlag
from cryorbit.api.progress_words import describe_fields, describe_part, describe_stage, write_stage_report

_LOGGER = logging.getLogger("cryorbit")
INTERVAL_S = 0.3
"""Least time between two pictures of the line."""


class NotebookProgress:
    """Progress as a display of a notebook, which needs no extension and is kept when the notebook is saved.

    Parameters
    ----------
    stop
        Whether somebody asked to stop.
    interval
        Least time between two pictures of the line, seconds.
    """

    def __init__(self, stop: StopFlag, interval: float = INTERVAL_S) -> None:
        self._stop = stop
        self._interval = interval
        self._notes: list[str] = []
        self._display: Any = import_module("IPython.display")
        self._shown_at = 0.0
        self._open(None, "starting")
        self._handle = self._display.display(self._picture(), display_id=True)

    def start(self, total: int | None, description: str) -> None:
        """Open a stage."""
        _LOGGER.info(describe_stage(total, description))
        self._open(total, description)
        self._show()

    def advance(self, **fields: float) -> None:
        """Count one step and show its numbers."""
        self._done += 1
        self._numbers, self._part = describe_fields(fields), ""
        self._show(always=self._done == self._total)

    def within(self, done: int, total: int) -> None:
        """Show how far the step is."""
        self._part = describe_part(done, total)
        self._show()

    def note(self, message: str) -> None:
        """Add a line to those below."""
        _LOGGER.info(message)
        self._notes.append(message)
        self._show(always=True)

    def stage_finished(self, folder: Path) -> None:
        """Write the report of the stage."""
        write_stage_report(folder)

    def stop_requested(self) -> bool:
        """Tell whether somebody asked to stop."""
        return self._stop.requested

    def finish(self) -> None:
        """Show how far the job came."""
        self._show(always=True)

    def _open(self, total: int | None, description: str) -> None:
        self._total, self._description = total, description
        self._done, self._numbers, self._part = 0, "", ""

    def _show(self, *, always: bool = False) -> None:
        if always or time.monotonic() - self._shown_at >= self._interval:
            self._shown_at = time.monotonic()
            self._handle.update(self._picture())

    def _picture(self) -> Any:
        counted = str(self._done) if self._total is None else f"{self._done}/{self._total}"
        words = "  ".join(each for each in (counted, self._part, self._numbers) if each)
        bar = "" if self._total is None else f'<progress max="{self._total}" value="{self._done}"></progress> '
        notes = "".join(f"<div>{escape(note)}</div>" for note in self._notes)
        folded = f"<details><summary>{len(self._notes)} notes</summary>{notes}</details>" if notes else ""
        return self._display.HTML(f"<div>{escape(self._description)} {bar}{escape(words)}</div>{folded}")
