"""Ctrl-C and what clusters send: once to keep what is done and stop, twice to stop at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console

from cryorbit.core.signals import SIGNALS


class StopFlag:
    """Whether somebody asked the job to stop; a signal handler.

    Parameters
    ----------
    console
        Where the first request is answered.
    """

    def __init__(self, console: Console) -> None:
        self.requested = False
        self._console = console

    def __call__(self, _signal: int, _frame: FrameType | None) -> None:
        """Note the first request; at the second raise ``KeyboardInterrupt``."""
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        self._console.print("stopping once the work so far is saved; press Ctrl-C again to stop at once")


@contextmanager
def stop_on_interrupt(console: Console) -> Iterator[StopFlag]:
    """Turn signals into a request to stop while the block runs; in the main thread, which alone has them."""
    flag = StopFlag(console)
    ours = SIGNALS if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, flag) for number in ours}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
