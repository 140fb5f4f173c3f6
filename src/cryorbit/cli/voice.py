"""How much a command says while it works, and in what form; chosen once on the command line, for every verb."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from cryorbit.cli.options import RUNNING

_LOGGER = logging.getLogger("cryorbit")


def _option(text: str, *names: str) -> Parameter:
    return Parameter(name=names, help=text, negative="", group=RUNNING)


@dataclass(frozen=True, slots=True)
class Voice:
    """What is said on standard error while a verb works; results and errors are said in any case.

    Attributes
    ----------
    quiet
        Nothing.
    verbose
        Also what else goes to ``log.txt``.
    log_json
        Progress as a JSON object a line.
    """

    quiet: Annotated[bool, _option("Show results and errors only.", "--quiet", "-q")] = False
    verbose: Annotated[bool, _option("Also show what is written to log.txt.", "--verbose", "-v")] = False
    log_json: Annotated[bool, _option("Show progress as JSON, one object per line.", "--log-json")] = False

    def console(self) -> Console:
        """Where progress is shown."""
        return Console(stderr=True, quiet=self.quiet)


_VOICE: ContextVar[Voice | None] = ContextVar("voice", default=None)


def voice() -> Voice:
    """The voice of the command that is running."""
    return _VOICE.get() or Voice()


@contextmanager
def speaking(chosen: Voice) -> Iterator[None]:
    """Have the block speak in a voice."""
    token = _VOICE.set(chosen)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    # what progress shows anyway it also logs: once is enough
    handler.addFilter(lambda record: record.module not in ("console", "json_progress"))
    level = _LOGGER.level
    if chosen.verbose:
        _LOGGER.addHandler(handler)
        _LOGGER.setLevel(logging.INFO)
    try:
        yield
    finally:
        _LOGGER.removeHandler(handler)
        _LOGGER.setLevel(level)
        _VOICE.reset(token)
