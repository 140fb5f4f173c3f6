"""How a running job tells of its progress and learns that it should stop."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Protocol, runtime_checkable

_LOGGER = logging.getLogger("cryorbit")


class Stopped(Exception):  # noqa: N818 (an end, not an error)
    """A job ended early because it was asked to, after it had saved its checkpoint."""


@runtime_checkable
class Progress(Protocol):
    """What a recipe needs of whoever watches it."""

    def start(self, total: int | None, description: str) -> None:
        """Open a stage of ``total`` steps, None if it ends by itself; the stage before it, if any, is over."""
        ...

    def advance(self, **fields: float) -> None:
        """Count one step; ``fields`` are numbers worth showing, named as in ``metrics.jsonl``."""
        ...

    def within(self, done: int, total: int) -> None:
        """Tell how much of the present step is done; a step may be made of several parts, one after the other."""
        ...

    def note(self, message: str) -> None:
        """Tell people one line that is not a step, and log it."""
        ...

    def stage_finished(self, folder: Path) -> None:
        """Tell that a part of the job stands complete in ``folder``, a job folder of its own."""
        ...

    def stop_requested(self) -> bool:
        """Tell whether the job should save a checkpoint after this step and raise ``Stopped``."""
        ...


class SilentProgress:
    """Progress nobody watches and nobody interrupts."""

    def start(self, total: int | None, description: str) -> None:
        """Do nothing."""

    def advance(self, **fields: float) -> None:
        """Do nothing."""

    def within(self, done: int, total: int) -> None:
        """Do nothing."""

    def note(self, message: str) -> None:
        """Log the line, as every watcher does."""
        _LOGGER.info(message)

    def stage_finished(self, folder: Path) -> None:
        """Do nothing."""

    def stop_requested(self) -> bool:
        """Never."""
        return False
