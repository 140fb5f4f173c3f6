"""Where the time of a computation goes, measured in the code as it is: functions are wrapped while a block runs."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

Place = tuple[object, str]
"""A module or class, and the name in it that a function is called by."""


class Stopwatch:
    """Seconds spent in named stages, each without the stages called from it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inner: list[float] = []

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function; its time is counted towards ``stage``."""

        @functools.wraps(function)
        def wrapper(*arguments: Any, **named: Any) -> Any:
            self._inner.append(0.0)
            began = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                spent = time.perf_counter() - began
                self.seconds[stage] = self.seconds.get(stage, 0.0) + spent - self._inner.pop()
                if self._inner:
                    self._inner[-1] += spent

        return wrapper


@contextmanager
def watching(stages: Mapping[str, Sequence[Place]]) -> Iterator[dict[str, float]]:
    """Time the functions of every stage while the block runs; what is yielded fills with seconds."""
    watch = Stopwatch()
    with ExitStack() as stack:
        for stage, places in stages.items():
            for owner, name in places:
                wrapped = watch.timed(stage, getattr(owner, name))
                stack.enter_context(mock.patch.object(owner, name, wrapped))
        yield watch.seconds
