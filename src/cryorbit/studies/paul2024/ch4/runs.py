"""One method on the data of one seed: done once, then kept with the reproduction."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryorbit.core.progress import Progress, Stopped
from cryorbit.core.records import pack, unpack
from cryorbit.optim.minimise import Trace
from cryorbit.studies.kept import keep
from cryorbit.studies.paul2024.ch4.contenders import Contender


@dataclass(frozen=True, slots=True)
class Run:
    """A method's course on the data of one seed."""

    contender: Contender
    seed: int
    trace: Trace

    @property
    def converged(self) -> bool:
        """Whether two consecutive epochs agreed."""
        return self.trace.ending == "converged"

    @property
    def least(self) -> float:
        """Least objective of the course."""
        return min(value for value in self.trace.values.tolist() if math.isfinite(value))


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where the runs on one problem are kept.

    Attributes
    ----------
    output
        Folder of the reproduction.
    problem
        Name of the problem.
    settings
        What all its runs depend on.
    """

    output: Path
    problem: str
    settings: tuple[object, ...]


def run_once(contender: Contender, seed: int, keeping: Keeping, work: Callable[[], Trace], progress: Progress) -> Run:
    """The run of a method, worked out unless it is kept already.

    Raises
    ------
    Stopped
        The run was asked to stop.
    """
    if progress.stop_requested():
        raise Stopped
    name = f"{keeping.problem} {contender.name} {seed}"
    packed = keep(keeping.output, name, (contender, seed, *keeping.settings), lambda: pack(work()))
    trace = unpack(Trace, packed)
    progress.advance(passes=float(trace.passes[-1]), objective=float(trace.values[-1]))
    return Run(contender, seed, trace)
