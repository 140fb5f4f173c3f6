"""Progress for programs: a JSON object a line, flushed at once."""

from __future__ import annotations

import json
import logging
import math
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from cryorbit.api.interrupts import StopFlag
from cryorbit.api.progress_words import write_stage_report

_LOGGER = logging.getLogger("cryorbit")


class JsonProgress:
    """Progress as lines with ``time`` (UTC) and ``event``.

    Events are ``stage``, ``step``, ``within`` (how far a step is), ``note`` and ``finished``.

    Parameters
    ----------
    stream
        Where the lines go.
    stop
        Whether somebody asked to stop.
    """

    def __init__(self, stream: TextIO, stop: StopFlag) -> None:
        self._stream = stream
        self._stop = stop
        self._stage, self._done = "", 0
        self._total: int | None = None
        self._told = time.monotonic()

    def start(self, total: int | None, description: str) -> None:
        """Open a stage."""
        self._stage, self._total, self._done = description, total, 0
        self._write("stage", name=description, total=total)

    def advance(self, **fields: float) -> None:
        """Count one step and tell its numbers."""
        self._done += 1
        self._write("step", stage=self._stage, done=self._done, total=self._total, **fields)

    def within(self, done: int, total: int) -> None:
        """Tell how far the step is, once a second at most."""
        if time.monotonic() - self._told >= 1:
            self._told = time.monotonic()
            self._write("within", stage=self._stage, done=done, total=total)

    def note(self, message: str) -> None:
        """Tell one line."""
        _LOGGER.info(message)
        self._write("note", message=message)

    def stage_finished(self, folder: Path) -> None:
        """Write the report of the stage and tell where it is."""
        write_stage_report(folder)
        self._write("finished", folder=str(folder))

    def stop_requested(self) -> bool:
        """Tell whether somebody asked to stop."""
        return self._stop.requested

    def _write(self, event: str, **fields: object) -> None:
        line: dict[str, object] = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event}
        line |= {name: _plain(value) for name, value in fields.items()}
        self._stream.write(json.dumps(line, default=float, allow_nan=False) + "\n")
        self._stream.flush()


def _plain(value: object) -> object:
    """What JSON can hold: numbers that are not finite become null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
